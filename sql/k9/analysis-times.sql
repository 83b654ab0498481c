-- +++
-- title  = "When k9 analysed each account"
-- reads  = ["k9.principals_latest", "k9.principal_access_summaries_latest", "k9.resources_latest", "k9.resource_access_summaries_latest"]
-- key    = ["customer_id", "csp", "account_id"]
-- noise  = ["principals_at", "principal_access_summaries_at", "resources_at", "resource_access_summaries_at", "spread_seconds"]
-- tags   = ["nightly", "kennel"]
-- source = "k9 docs, AWS Athena Integration; reports of one account can be of different times"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per account: the analysis time of its newest report of each kind, in UTC.
--
-- k9 delivers the kinds one by one, so they can differ for a while, and queries that join two kinds then compare
-- two moments: is_same_time is false where they do or where a kind is missing. A blank time is a report that is
-- not there or has no rows. spread_seconds lies between the oldest and the newest.
WITH reports AS (
  SELECT customer_id, csp, account_id, 'principals' AS report, analysis_time
  FROM k9.principals_latest
  UNION ALL
  SELECT customer_id, csp, account_id, 'principal access' AS report, analysis_time
  FROM k9.principal_access_summaries_latest
  UNION ALL
  SELECT customer_id, csp, account_id, 'resources' AS report, analysis_time
  FROM k9.resources_latest
  UNION ALL
  SELECT customer_id, csp, account_id, 'resource access' AS report, analysis_time
  FROM k9.resource_access_summaries_latest
),
pivoted AS (
  SELECT
    customer_id, csp, account_id,
    max(CASE WHEN report = 'principals' THEN analysis_time END) AS principals_at,
    max(CASE WHEN report = 'principal access' THEN analysis_time END) AS principal_access_summaries_at,
    max(CASE WHEN report = 'resources' THEN analysis_time END) AS resources_at,
    max(CASE WHEN report = 'resource access' THEN analysis_time END) AS resource_access_summaries_at,
    count(DISTINCT report) AS report_count,
    min(analysis_time) AS oldest_at,
    max(analysis_time) AS newest_at
  FROM reports
  WHERE ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
  GROUP BY customer_id, csp, account_id
)
SELECT
  customer_id, csp, account_id,
  principals_at, principal_access_summaries_at, resources_at, resource_access_summaries_at,
  coalesce(report_count = 4 AND oldest_at = newest_at, false) AS is_same_time,
  date_diff('second', oldest_at, newest_at) AS spread_seconds
FROM pivoted
ORDER BY customer_id, csp, account_id;
