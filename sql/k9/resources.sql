-- +++
-- title  = "All resources that k9 reports"
-- reads  = ["k9.resources_latest"]
-- key    = ["customer_id", "account_id", "resource_arn"]
-- noise  = ["analysis_time"]
-- tags   = ["inventory"]
-- source = "k9-cli, query resources and diff resources"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per resource of each account's newest report, with all columns that k9 publishes.
--
-- It is the inventory that `kennel diff resources` compares: resources that came or went, and tags that changed.
SELECT
  customer_id, account_id, resource_name, resource_arn, resource_type,
  resource_tag_business_unit, resource_tag_environment, resource_tag_owner,
  resource_tag_confidentiality, resource_tag_integrity, resource_tag_availability, resource_tags,
  analysis_time
FROM k9.resources_latest
WHERE ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
ORDER BY customer_id, account_id, resource_arn;
