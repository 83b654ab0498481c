-- +++
-- title  = "Principals that can administer or delete in a data service"
-- reads  = ["k9.principal_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "principal_arn", "service_name", "access_capability"]
-- tags   = ["nightly", "data"]
-- source = "k9 kata 4"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.services]
-- type = "text[]"
-- default = ["RDS", "DynamoDB", "S3"]
-- help = "services to look at, as k9 writes them"
-- +++
-- One row per principal, data service and capability (administer-resource, delete-data) in the newest reports.
--
-- resource_count counts the distinct resource ARNs with that right; the row for the service in general (blank
-- resource_arn: create a table, say) is not among them and shows as is_service_level. Deployment roles and the
-- account's administrators are expected rows.
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
WHERE array_has($services, service_name)
  AND access_capability IN ('administer-resource', 'delete-data')
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
GROUP BY customer_id, account_id, principal_arn, service_name, access_capability
ORDER BY customer_id, account_id, principal_arn, service_name, access_capability;
