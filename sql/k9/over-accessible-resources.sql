-- +++
-- title  = "Resources that too many principals can reach"
-- reads  = ["k9.resource_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "service_name", "resource_arn"]
-- audit  = { severity = "medium" }
-- tags   = ["nightly", "access"]
-- source = "k9 docs, AWS Athena Integration, overly accessible resources; k9-cli, query risks over-accessible-resources"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.service]
-- type = "text"
-- help = "limit to one service, as k9 writes it: S3, KMS, RDS, DynamoDB"
-- [params.max_administer]
-- type = "integer"
-- default = 5
-- help = "principals with administer-resource allowed"
-- [params.max_read]
-- type = "integer"
-- default = 5
-- help = "principals with read-data allowed"
-- [params.max_write]
-- type = "integer"
-- default = 5
-- help = "principals with write-data allowed"
-- [params.max_delete]
-- type = "integer"
-- default = 5
-- help = "principals with delete-data allowed"
-- +++
-- One row per resource that more principals can administer, read, write or delete than the limits allow (strictly
-- more than max_administer, max_read, max_write, max_delete).
--
-- Counted are distinct principal ARNs per capability with a right on that resource; use-resource and read-config
-- are not counted. Rights on a service in general are not in the resource access summaries and do not count. A
-- resource belongs to one service, so every service is judged alone; service limits the report to one.
--
-- Roles of AWS services and of the deployment count like people: five of them are soon together. AWS-managed KMS
-- keys (alias/aws/...) appear although their policy cannot be changed.
WITH rights AS (
  -- Each principal once, then per resource: four distinct counts at once cost more.
  SELECT
    customer_id, account_id, service_name, resource_arn, access_capability, principal_arn,
    max(resource_name) AS resource_name,
    max(resource_tag_confidentiality) AS resource_tag_confidentiality
  FROM k9.resource_access_summaries_latest
  WHERE resource_arn IS NOT NULL
    AND access_capability IN ('administer-resource', 'read-data', 'write-data', 'delete-data')
    AND ($service IS NULL OR service_name = $service)
    AND ($customer_id IS NULL OR customer_id = $customer_id)
    AND ($account_id IS NULL OR account_id = $account_id)
  GROUP BY customer_id, account_id, service_name, resource_arn, access_capability, principal_arn
),
counted AS (
  SELECT
    customer_id, account_id, service_name, max(resource_name) AS resource_name, resource_arn,
    max(resource_tag_confidentiality) AS resource_tag_confidentiality,
    count(principal_arn) FILTER (WHERE access_capability = 'administer-resource') AS administer_principal_count,
    count(principal_arn) FILTER (WHERE access_capability = 'read-data') AS read_principal_count,
    count(principal_arn) FILTER (WHERE access_capability = 'write-data') AS write_principal_count,
    count(principal_arn) FILTER (WHERE access_capability = 'delete-data') AS delete_principal_count
  FROM rights
  GROUP BY customer_id, account_id, service_name, resource_arn
)
SELECT
  customer_id, account_id, service_name, resource_name, resource_arn, resource_tag_confidentiality,
  administer_principal_count, read_principal_count, write_principal_count, delete_principal_count
FROM counted
WHERE administer_principal_count > $max_administer
   OR read_principal_count > $max_read
   OR write_principal_count > $max_write
   OR delete_principal_count > $max_delete
ORDER BY customer_id, account_id, service_name, resource_arn;
