-- +++
-- title  = "Passwords and access keys that are switched off but still there"
-- reads  = ["k9.principals_latest"]
-- key    = ["customer_id", "account_id", "principal_arn", "credential"]
-- noise  = ["last_used"]
-- audit  = { severity = "low" }
-- tags   = ["nightly", "credentials"]
-- source = "k9-datadog-viz, inactive credentials"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per password or access key whose state is Inactive in the newest report. Age and last use are shown but
-- not considered.
--
-- k9's dashboard looks at the password and the first access key; the second key is looked at here as well. A key
-- that was just switched off as a step of its rotation is an expected row.
WITH credentials AS (
  SELECT
    customer_id, account_id, principal_name, principal_arn, principal_type,
    'password' AS credential,
    password_state AS credential_state,
    password_last_rotated AS last_rotated,
    password_last_used AS last_used
  FROM k9.principals_latest
  WHERE password_state = 'Inactive'
  UNION ALL
  SELECT
    customer_id, account_id, principal_name, principal_arn, principal_type,
    'access key 1' AS credential,
    access_key_1_state AS credential_state,
    access_key_1_last_rotated AS last_rotated,
    access_key_1_last_used AS last_used
  FROM k9.principals_latest
  WHERE access_key_1_state = 'Inactive'
  UNION ALL
  SELECT
    customer_id, account_id, principal_name, principal_arn, principal_type,
    'access key 2' AS credential,
    access_key_2_state AS credential_state,
    access_key_2_last_rotated AS last_rotated,
    access_key_2_last_used AS last_used
  FROM k9.principals_latest
  WHERE access_key_2_state = 'Inactive'
)
SELECT
  customer_id, account_id, principal_name, principal_arn, principal_type,
  credential, credential_state, last_rotated, last_used
FROM credentials
WHERE ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
ORDER BY customer_id, account_id, principal_arn, credential;
