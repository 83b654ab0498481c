-- +++
-- title  = "IAM administrators that an earlier report did not have"
-- reads  = ["k9.principal_access_summaries_latest", "k9.principal_access_summaries"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- noise  = ["analysis_time", "earlier_analysis_time"]
-- news   = true
-- audit  = { severity = "high" }
-- tags   = ["nightly", "iam"]
-- source = "k9-splunk-viz, new IAM administrators"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.window_days]
-- type = "integer"
-- default = 1
-- help = "compare with the report of this many days before the newest one"
-- +++
-- One row per principal that has administer-resource on IAM in the newest report of its account and had it not in
-- the report window_days before. status is 'new'.
--
-- The earlier report is the newest one that was analysed at least window_days less half a day before: nightly
-- analyses do not begin on the minute, and there may be several a day. earlier_analysis_time says which it was;
-- where syncs are rare it lies further back.
--
-- An account whose history in this cache does not reach back that far gives one row with status
-- 'no earlier report' and no principal: nothing can be said about it, which is not the same as nothing new. An
-- earlier report without any row counts as none.
--
-- Both the service-level row (blank resource_arn) and rows on single resources make an admin. A principal deleted
-- and made again under the same ARN is not new.
WITH latest AS (
  SELECT customer_id, account_id, max(analysis_time) AS analysis_time
  FROM k9.principal_access_summaries_latest
  WHERE ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
  GROUP BY customer_id, account_id
),
admins AS (
  SELECT
    customer_id, account_id, principal_arn,
    max(principal_name) AS principal_name, max(principal_type) AS principal_type
  FROM k9.principal_access_summaries_latest
  WHERE service_name = 'IAM'
    AND access_capability = 'administer-resource'
  GROUP BY customer_id, account_id, principal_arn
),
earlier_reports AS (
  SELECT history.customer_id, history.account_id, max(history.analysis_time) AS earlier_analysis_time
  FROM k9.principal_access_summaries AS history
  JOIN latest ON latest.customer_id = history.customer_id AND latest.account_id = history.account_id
  WHERE history.analysis_time <= date_add('hour', 12 - $window_days * 24, latest.analysis_time)
  GROUP BY history.customer_id, history.account_id
),
earlier_admins AS (
  SELECT DISTINCT history.customer_id, history.account_id, history.principal_arn
  FROM k9.principal_access_summaries AS history
  JOIN earlier_reports
    ON earlier_reports.customer_id = history.customer_id
   AND earlier_reports.account_id = history.account_id
   AND earlier_reports.earlier_analysis_time = history.analysis_time
  WHERE history.service_name = 'IAM'
    AND history.access_capability = 'administer-resource'
),
answers AS (
  SELECT
    latest.customer_id, latest.account_id, 'no earlier report' AS status,
    CAST(NULL AS VARCHAR) AS principal_name,
    CAST(NULL AS VARCHAR) AS principal_arn,
    CAST(NULL AS VARCHAR) AS principal_type,
    latest.analysis_time,
    earlier_reports.earlier_analysis_time
  FROM latest
  LEFT JOIN earlier_reports
    ON earlier_reports.customer_id = latest.customer_id AND earlier_reports.account_id = latest.account_id
  WHERE earlier_reports.account_id IS NULL
  UNION ALL
  SELECT
    admins.customer_id, admins.account_id, 'new' AS status,
    admins.principal_name, admins.principal_arn, admins.principal_type,
    latest.analysis_time,
    earlier_reports.earlier_analysis_time
  FROM admins
  JOIN latest ON latest.customer_id = admins.customer_id AND latest.account_id = admins.account_id
  JOIN earlier_reports
    ON earlier_reports.customer_id = admins.customer_id AND earlier_reports.account_id = admins.account_id
  LEFT JOIN earlier_admins
    ON earlier_admins.customer_id = admins.customer_id
   AND earlier_admins.account_id = admins.account_id
   AND earlier_admins.principal_arn = admins.principal_arn
  WHERE earlier_admins.principal_arn IS NULL
)
SELECT
  customer_id, account_id, status, principal_name, principal_arn, principal_type,
  analysis_time, earlier_analysis_time
FROM answers
ORDER BY customer_id, account_id, principal_arn;
