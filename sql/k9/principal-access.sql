-- +++
-- title  = "What a principal can reach"
-- reads  = ["k9.principal_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "principal_arn", "service_name", "access_capability", "resource_arn"]
-- tags   = ["lookup", "access"]
-- source = "k9-cli, query principal-access"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.name_or_arn]
-- type = "text"
-- help = "name or ARN of a principal, exactly"
-- +++
-- One row per right in the newest principal access summaries of the principals whose name or ARN is exactly
-- name_or_arn; without it, of all.
--
-- A blank resource_arn is the right on the service in general (is_service_level); the same right on single
-- resources stands in rows of its own. Counting rows is therefore not counting resources.
SELECT
  customer_id,
  account_id,
  max(principal_name) AS principal_name,
  principal_arn,
  max(principal_type) AS principal_type,
  service_name,
  access_capability,
  resource_arn,
  resource_arn IS NULL AS is_service_level,
  max(resource_tag_confidentiality) AS resource_tag_confidentiality
FROM k9.principal_access_summaries_latest
WHERE ($name_or_arn IS NULL OR principal_name = $name_or_arn OR principal_arn = $name_or_arn)
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
GROUP BY customer_id, account_id, principal_arn, service_name, access_capability, resource_arn
ORDER BY customer_id, account_id, principal_arn, service_name, access_capability, resource_arn;
