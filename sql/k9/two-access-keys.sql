-- +++
-- title  = "Users with a second access key"
-- reads  = ["k9.principals_latest"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- noise  = ["access_key_1_last_used", "access_key_2_last_used"]
-- audit  = { severity = "low" }
-- tags   = ["nightly", "credentials"]
-- source = "k9-datadog-viz, users with two access keys"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per principal whose second access key is Active or Inactive in the newest report.
--
-- As k9 counts, the first key is not considered, so a user that only kept its second key is a row too:
-- access_key_1_state is blank then. A rotation in progress needs two keys for a while and is an expected row.
SELECT
  customer_id, account_id, principal_name, principal_arn, principal_type,
  access_key_1_state, access_key_1_last_rotated, access_key_1_last_used,
  access_key_2_state, access_key_2_last_rotated, access_key_2_last_used
FROM k9.principals_latest
WHERE access_key_2_state IN ('Active', 'Inactive')
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
ORDER BY customer_id, account_id, principal_arn;
