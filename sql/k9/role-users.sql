-- +++
-- title  = "Who can use an IAM role"
-- reads  = ["k9.resource_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "resource_arn", "principal_arn"]
-- tags   = ["roles"]
-- source = "k9, Analyze access to AWS IAM roles (2021)"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.role_arn]
-- type = "text"
-- help = "limit to one role, by ARN or name"
-- +++
-- One row per IAM role and principal that can assume it: use-resource on STS in the newest resource access
-- summaries. resource_arn is the role's.
--
-- Only direct use counts; a principal that gets to the role through another role is not a row. How k9 writes
-- external principals and whole accounts is not published: they stand here as the report has them.
SELECT
  customer_id,
  account_id,
  max(resource_name) AS resource_name,
  resource_arn,
  max(principal_name) AS principal_name,
  principal_arn,
  max(principal_type) AS principal_type
FROM k9.resource_access_summaries_latest
WHERE service_name = 'STS'
  AND access_capability = 'use-resource'
  AND ($role_arn IS NULL OR resource_arn = $role_arn OR resource_name = $role_arn)
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
GROUP BY customer_id, account_id, resource_arn, principal_arn
ORDER BY customer_id, account_id, resource_arn, principal_arn;
