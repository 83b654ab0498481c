-- +++
-- title  = "Who can reach confidential or restricted data"
-- reads  = ["k9.resource_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "service_name", "resource_arn", "access_capability", "principal_arn"]
-- tags   = ["nightly", "daily", "data"]
-- source = "k9, Incorporating context into access analysis (2020)"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.confidentiality]
-- type = "text[]"
-- default = ["Confidential", "Restricted"]
-- help = "values of the Confidentiality tag to look at"
-- [params.capability]
-- type = "text"
-- help = "limit to one access capability"
-- [params.principal]
-- type = "text"
-- help = "limit to one principal, by name or ARN"
-- +++
-- One row per resource, capability and principal where the resource's Confidentiality tag is one of
-- confidentiality, in the newest reports.
--
-- All capabilities are listed, also those that do not touch data (read-config); capability limits to one.
-- Resources without the tag are not looked at, and reports of the form without a tag column give no rows.
-- principal narrows it to one application's role: has it access that it does not need?
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
WHERE array_has($confidentiality, resource_tag_confidentiality)
  AND ($capability IS NULL OR access_capability = $capability)
  AND ($principal IS NULL OR principal_name = $principal OR principal_arn = $principal)
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
GROUP BY customer_id, account_id, service_name, resource_arn, access_capability, principal_arn
ORDER BY customer_id, account_id, service_name, resource_arn, access_capability, principal_arn;
