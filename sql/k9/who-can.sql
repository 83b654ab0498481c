-- +++
-- title  = "Who can do what with which resource"
-- reads  = ["k9.resource_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "service_name", "resource_arn", "access_capability", "principal_arn"]
-- tags   = ["access"]
-- source = "k9 docs, AWS Athena Integration; k9-cli, query resource-access"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.service]
-- type = "text"
-- help = "limit to one service, as k9 writes it: S3, KMS, RDS, DynamoDB, STS"
-- [params.capability]
-- type = "text"
-- help = "administer-resource, read-config, use-resource, read-data, write-data or delete-data"
-- [params.resource]
-- type = "text"
-- help = "limit to one resource, by name or ARN"
-- +++
-- One row per resource, capability and principal in the newest reports; service, capability and resource narrow it
-- down, and without them everything is listed.
--
-- Only resources that k9 lists by themselves occur (buckets, KMS keys, RDS clusters, DynamoDB tables, IAM roles):
-- a right on a service in general stands in the principal access summaries. account_id is the account of the
-- report, which is the resource's.
SELECT
  customer_id,
  account_id,
  service_name,
  max(resource_name) AS resource_name,
  resource_arn,
  access_capability,
  max(principal_name) AS principal_name,
  principal_arn,
  max(principal_type) AS principal_type,
  max(resource_tag_confidentiality) AS resource_tag_confidentiality
FROM k9.resource_access_summaries_latest
WHERE ($service IS NULL OR service_name = $service)
  AND ($capability IS NULL OR access_capability = $capability)
  AND ($resource IS NULL OR resource_name = $resource OR resource_arn = $resource)
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
GROUP BY customer_id, account_id, service_name, resource_arn, access_capability, principal_arn
ORDER BY customer_id, account_id, service_name, resource_arn, access_capability, principal_arn;
