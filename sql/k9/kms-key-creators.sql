-- +++
-- title  = "Principals that can create KMS keys"
-- reads  = ["k9.principal_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- tags   = ["nightly", "kms"]
-- source = "k9 kata 5"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per principal with administer-resource on KMS in general: the service-level row, whose resource_arn is
-- blank. Rights on single keys are not considered; see k9/kms-key-access. Deployment roles and the account's
-- administrators are expected rows.
SELECT
  customer_id,
  account_id,
  max(principal_name) AS principal_name,
  principal_arn,
  max(principal_type) AS principal_type,
  service_name,
  access_capability
FROM k9.principal_access_summaries_latest
WHERE service_name = 'KMS'
  AND access_capability = 'administer-resource'
  AND resource_arn IS NULL
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
GROUP BY customer_id, account_id, principal_arn, service_name, access_capability
ORDER BY customer_id, account_id, principal_arn;
