-- +++
-- title  = "Look up users and roles by name or ARN"
-- reads  = ["k9.principals_latest"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- noise  = ["analysis_time", "principal_last_used", "password_last_used", "access_key_1_last_used", "access_key_2_last_used"]
-- tags   = ["lookup"]
-- source = "k9-cli, query principals"
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
-- One row per principal of the newest reports whose name or ARN is exactly name_or_arn; without it, all of them.
-- The name of a role is the last part of its path, so one name can be several principals.
SELECT
  customer_id, account_id, principal_name, principal_arn, principal_type,
  principal_is_iam_admin, principal_last_used,
  principal_tag_business_unit, principal_tag_environment, principal_tag_used_by, principal_tags,
  password_state, password_last_rotated, password_last_used,
  access_key_1_state, access_key_1_last_rotated, access_key_1_last_used,
  access_key_2_state, access_key_2_last_rotated, access_key_2_last_used,
  analysis_time
FROM k9.principals_latest
WHERE ($name_or_arn IS NULL OR principal_name = $name_or_arn OR principal_arn = $name_or_arn)
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
ORDER BY customer_id, account_id, principal_arn;
