-- +++
-- title  = "Principals that can administer IAM"
-- reads  = ["k9.principal_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- audit  = { severity = "high" }
-- tags   = ["nightly", "daily", "iam"]
-- source = "k9 docs, AWS Athena Integration, 'Identify IAM administrators'; k9 kata 1"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per principal that has administer-resource on IAM in its account's newest report.
--
-- k9 reports such a right in two kinds of row: on IAM in general (blank resource_arn, is_service_level = true) and
-- on single resources. Both kinds make an admin; resource_count counts the distinct resource ARNs and leaves the
-- service-level row out, so an admin of the API alone has resource_count 0. Only direct rights count: see
-- k9/indirect-iam-admins for the principals that get there through a role.
--
-- Expected rows: break-glass and deployment roles, and AWS service roles such as the one of Organizations. An IAM
-- admin need not have access to data.
SELECT
  customer_id,
  account_id,
  max(principal_name) AS principal_name,
  principal_arn,
  max(principal_type) AS principal_type,
  service_name,
  access_capability,
  count(DISTINCT resource_arn) AS resource_count,
  bool_or(resource_arn IS NULL) AS is_service_level
FROM k9.principal_access_summaries_latest
WHERE service_name = 'IAM'
  AND access_capability = 'administer-resource'
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
GROUP BY customer_id, account_id, principal_arn, service_name, access_capability
ORDER BY customer_id, account_id, principal_name, principal_arn;
