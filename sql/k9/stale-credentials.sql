-- +++
-- title  = "Passwords and access keys that are not rotated or not used"
-- reads  = ["k9.principals_latest"]
-- key    = ["customer_id", "account_id", "principal_arn", "credential"]
-- noise  = ["rotated_days_ago", "last_used", "used_days_ago"]
-- audit  = { severity = "medium" }
-- tags   = ["nightly", "daily", "credentials"]
-- source = "k9 docs, AWS Athena Integration, stale API access key or password credentials; k9 kata 3; k9-splunk-viz"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.max_age_days]
-- type = "integer"
-- default = 90
-- help = "stale by rotation from this age in days"
-- [params.max_idle_days]
-- type = "integer"
-- default = 90
-- help = "stale by last use from this many days without use"
-- [params.include_inactive]
-- type = "boolean"
-- default = true
-- help = "also list credentials whose state is Inactive"
-- +++
-- One row per credential (password, access key 1, access key 2) of a principal that is stale by rotation, by last
-- use, or both.
--
-- stale_by_rotation: last rotated at least max_age_days whole days ago. stale_by_last_use: last used at least
-- max_idle_days whole days ago; a credential with no recorded use counts from its rotation. Ages run to $as_of if
-- given, else to the analysis time of the row's own report, never to the clock, so an old mirror does not make
-- everything stale. A credential without a rotation time cannot be stale by rotation.
--
-- State is not considered unless include_inactive is false, as in k9's own search: an Inactive key can be switched
-- on again. Users that exist to be unused (break-glass) are expected rows. AWS knows no use of a password or key
-- before mid-2015.
WITH credentials AS (
  SELECT
    customer_id, account_id, principal_name, principal_arn, principal_type,
    'password' AS credential,
    password_state AS credential_state,
    password_last_rotated AS last_rotated,
    password_last_used AS last_used,
    coalesce($as_of, analysis_time) AS as_of
  FROM k9.principals_latest
  UNION ALL
  SELECT
    customer_id, account_id, principal_name, principal_arn, principal_type,
    'access key 1' AS credential,
    access_key_1_state AS credential_state,
    access_key_1_last_rotated AS last_rotated,
    access_key_1_last_used AS last_used,
    coalesce($as_of, analysis_time) AS as_of
  FROM k9.principals_latest
  UNION ALL
  SELECT
    customer_id, account_id, principal_name, principal_arn, principal_type,
    'access key 2' AS credential,
    access_key_2_state AS credential_state,
    access_key_2_last_rotated AS last_rotated,
    access_key_2_last_used AS last_used,
    coalesce($as_of, analysis_time) AS as_of
  FROM k9.principals_latest
),
aged AS (
  SELECT
    customer_id, account_id, principal_name, principal_arn, principal_type,
    credential, credential_state, last_rotated, last_used,
    date_diff('day', last_rotated, as_of) AS rotated_days_ago,
    date_diff('day', last_used, as_of) AS used_days_ago
  FROM credentials
  WHERE credential_state IS NOT NULL OR last_rotated IS NOT NULL OR last_used IS NOT NULL
),
judged AS (
  SELECT
    customer_id, account_id, principal_name, principal_arn, principal_type,
    credential, credential_state, last_rotated, rotated_days_ago, last_used, used_days_ago,
    coalesce(rotated_days_ago >= $max_age_days, false) AS stale_by_rotation,
    coalesce(coalesce(used_days_ago, rotated_days_ago) >= $max_idle_days, false) AS stale_by_last_use
  FROM aged
)
SELECT
  customer_id, account_id, principal_name, principal_arn, principal_type,
  credential, credential_state, last_rotated, rotated_days_ago, last_used, used_days_ago,
  stale_by_rotation, stale_by_last_use
FROM judged
WHERE (stale_by_rotation OR stale_by_last_use)
  AND ($include_inactive OR credential_state IS DISTINCT FROM 'Inactive')
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
ORDER BY customer_id, account_id, principal_arn, credential;
