-- +++
-- title  = "Who can configure KMS keys or decrypt with them"
-- reads  = ["k9.resource_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "resource_arn", "principal_arn"]
-- tags   = ["nightly", "kms"]
-- source = "k9 kata 5"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.include_aws_managed]
-- type = "boolean"
-- default = true
-- help = "also list keys that AWS manages"
-- +++
-- One row per KMS key and principal that can configure the key (administer-resource), decrypt with it (read-data),
-- or both, in the newest reports. Encrypting (write-data) is not considered.
--
-- is_aws_managed marks keys of AWS (alias/aws/...): their policy cannot be changed, so their rows need no action
-- and include_aws_managed = false leaves them out. k9 names a key by its alias; of several aliases the last in
-- order is shown.
WITH access AS (
  SELECT
    customer_id, account_id, service_name,
    max(resource_name) AS resource_name,
    resource_arn,
    bool_or(coalesce(resource_name LIKE 'alias/aws/%', false)) AS is_aws_managed,
    max(principal_name) AS principal_name,
    principal_arn,
    max(principal_type) AS principal_type,
    bool_or(access_capability = 'administer-resource') AS can_configure,
    bool_or(access_capability = 'read-data') AS can_decrypt
  FROM k9.resource_access_summaries_latest
  WHERE service_name = 'KMS'
    AND access_capability IN ('administer-resource', 'read-data')
    AND ($customer_id IS NULL OR customer_id = $customer_id)
    AND ($account_id IS NULL OR account_id = $account_id)
  GROUP BY customer_id, account_id, service_name, resource_arn, principal_arn
)
SELECT
  customer_id, account_id, service_name, resource_name, resource_arn, is_aws_managed,
  principal_name, principal_arn, principal_type, can_configure, can_decrypt
FROM access
WHERE $include_aws_managed OR NOT is_aws_managed
ORDER BY customer_id, account_id, resource_arn, principal_arn;
