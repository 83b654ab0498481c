-- +++
-- title  = "Which IAM roles a principal can use"
-- reads  = ["k9.principal_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "principal_arn", "resource_arn"]
-- tags   = ["roles"]
-- source = "k9, Analyze access to AWS IAM roles (2021)"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.principal_arn]
-- type = "text"
-- help = "limit to one principal, by ARN or name"
-- +++
-- One row per principal and IAM role that it can assume: use-resource on STS in the newest principal access
-- summaries. resource_arn is the role's; it is blank in the row for STS in general (is_service_level), which names
-- no role.
--
-- Only direct use counts; roles reached through another role are not rows.
SELECT
  customer_id,
  account_id,
  max(principal_name) AS principal_name,
  principal_arn,
  max(principal_type) AS principal_type,
  resource_arn,
  resource_arn IS NULL AS is_service_level
FROM k9.principal_access_summaries_latest
WHERE service_name = 'STS'
  AND access_capability = 'use-resource'
  AND ($principal_arn IS NULL OR principal_arn = $principal_arn OR principal_name = $principal_arn)
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
GROUP BY customer_id, account_id, principal_arn, resource_arn
ORDER BY customer_id, account_id, principal_arn, resource_arn;
