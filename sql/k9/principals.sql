-- +++
-- title  = "All users and roles"
-- reads  = ["k9.principals_latest"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- noise  = ["analysis_time", "principal_last_used", "password_last_used", "access_key_1_last_used", "access_key_2_last_used"]
-- tags   = ["inventory"]
-- source = "k9-cli, query principals and diff principals"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per IAM user or role of each account's newest report, with all columns that k9 publishes.
--
-- It is the inventory that `kennel diff principals` compares: principals that came or went, became administrators,
-- changed tags, rotated a credential or switched one off. Last uses and the analysis time move every night and are
-- noise there.
SELECT
  customer_id, account_id, principal_name, principal_arn, principal_type,
  principal_is_iam_admin, principal_last_used,
  principal_tag_business_unit, principal_tag_environment, principal_tag_used_by, principal_tags,
  password_state, password_last_rotated, password_last_used,
  access_key_1_state, access_key_1_last_rotated, access_key_1_last_used,
  access_key_2_state, access_key_2_last_rotated, access_key_2_last_used,
  analysis_time
FROM k9.principals_latest
WHERE ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
ORDER BY customer_id, account_id, principal_arn;
