-- +++
-- title  = "Look up resources by name or ARN"
-- reads  = ["k9.resources_latest"]
-- key    = ["customer_id", "account_id", "resource_arn"]
-- noise  = ["analysis_time"]
-- tags   = ["lookup"]
-- source = "k9-cli, query resources"
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
-- One row per resource of the newest reports whose name or ARN is exactly name_or_arn; without it, all of them.
SELECT
  customer_id, account_id, resource_name, resource_arn, resource_type,
  resource_tag_business_unit, resource_tag_environment, resource_tag_owner,
  resource_tag_confidentiality, resource_tag_integrity, resource_tag_availability, resource_tags,
  analysis_time
FROM k9.resources_latest
WHERE ($name_or_arn IS NULL OR resource_name = $name_or_arn OR resource_arn = $name_or_arn)
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
ORDER BY customer_id, account_id, resource_arn;
