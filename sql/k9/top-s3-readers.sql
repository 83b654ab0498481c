-- +++
-- title  = "Principals that can read most in S3"
-- reads  = ["k9.principal_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- noise  = ["place"]
-- tags   = ["nightly", "s3"]
-- source = "k9-datadog-viz, principals with most S3 read access"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.limit]
-- type = "integer"
-- default = 10
-- help = "how many principals"
-- +++
-- The principals with the most S3 access rows of read-data in the newest reports, over all accounts, best first.
--
-- row_count decides the place, as on k9's dashboard: it counts rows, the one for S3 in general (blank
-- resource_arn) included. resource_count counts distinct bucket ARNs without it. Principals are told apart by ARN,
-- not by name, so the same role name in two accounts is two rows; ties are broken by customer, account and ARN.
-- Administrators and backup roles are expected here.
WITH counted AS (
  SELECT
    customer_id, account_id,
    max(principal_name) AS principal_name,
    principal_arn,
    max(principal_type) AS principal_type,
    count(*) AS row_count,
    count(DISTINCT resource_arn) AS resource_count
  FROM k9.principal_access_summaries_latest
  WHERE service_name = 'S3'
    AND access_capability = 'read-data'
    AND ($customer_id IS NULL OR customer_id = $customer_id)
    AND ($account_id IS NULL OR account_id = $account_id)
  GROUP BY customer_id, account_id, principal_arn
),
ranked AS (
  SELECT
    row_number() OVER (ORDER BY row_count DESC, customer_id, account_id, principal_arn) AS place,
    customer_id, account_id, principal_name, principal_arn, principal_type, row_count, resource_count
  FROM counted
)
SELECT
  place, customer_id, account_id, principal_name, principal_arn, principal_type, row_count, resource_count
FROM ranked
WHERE place <= $limit
ORDER BY place, customer_id, account_id, principal_arn;
