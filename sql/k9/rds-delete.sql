-- +++
-- title  = "Principals that can delete data in RDS"
-- reads  = ["k9.resource_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "resource_arn", "principal_arn"]
-- audit  = { severity = "high" }
-- tags   = ["nightly", "data", "rds"]
-- source = "k9 docs, AWS Athena Integration, 'Which principals can delete data in RDS'; k9 kata 4"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per RDS resource and principal with delete-data on it in the newest reports.
--
-- For RDS, delete-data means deleting clusters, instances, snapshots, automated backups, global clusters and
-- option groups; it does not mean deleting rows in a table. Only rights on resources that k9 lists are counted: a
-- right on RDS in general stands in the principal access summaries (k9/data-service-access). A resource-level row
-- is one finding for each principal, so the deployment roles and admins of the account appear once per resource.
SELECT
  customer_id,
  account_id,
  service_name,
  max(resource_name) AS resource_name,
  resource_arn,
  max(principal_name) AS principal_name,
  principal_arn,
  max(principal_type) AS principal_type,
  access_capability
FROM k9.resource_access_summaries_latest
WHERE service_name = 'RDS'
  AND access_capability = 'delete-data'
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
GROUP BY customer_id, account_id, service_name, resource_arn, principal_arn, access_capability
ORDER BY customer_id, account_id, resource_arn, principal_arn;
