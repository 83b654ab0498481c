-- +++
-- title  = "Who can reach a resource"
-- reads  = ["k9.resource_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "service_name", "resource_arn", "access_capability", "principal_arn"]
-- tags   = ["lookup", "access"]
-- source = "k9-cli, query resource-access"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.name_or_arn]
-- type = "text"
-- help = "name or ARN of a resource, exactly"
-- +++
-- One row per right in the newest resource access summaries on the resources whose name or ARN is exactly
-- name_or_arn; without it, on all. Rights on a service in general are not in that report.
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
WHERE ($name_or_arn IS NULL OR resource_name = $name_or_arn OR resource_arn = $name_or_arn)
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
GROUP BY customer_id, account_id, service_name, resource_arn, access_capability, principal_arn
ORDER BY customer_id, account_id, service_name, resource_arn, access_capability, principal_arn;
