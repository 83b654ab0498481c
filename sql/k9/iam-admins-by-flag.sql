-- +++
-- title  = "Principals that k9 marks as IAM administrators"
-- reads  = ["k9.principals_latest"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- noise  = ["principal_last_used", "idle_days"]
-- audit  = { severity = "high" }
-- tags   = ["iam"]
-- source = "k9 kata 1; k9-cli, query risks iam-admins; k9-splunk-viz"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per user or role whose principal_is_iam_admin is true in its account's newest report.
--
-- It is k9's own verdict, taken from the principals report; k9/iam-admins answers from the access summaries, and
-- the two reports of an account can be of different times. idle_days counts whole days from the last recorded use
-- to $as_of or else the row's own analysis time; it is null when no use is recorded, which for roles means none in
-- about 400 days. Service-linked roles are expected rows.
SELECT
  customer_id, account_id, principal_name, principal_arn, principal_type,
  principal_last_used,
  date_diff('day', principal_last_used, coalesce($as_of, analysis_time)) AS idle_days,
  principal_tag_business_unit, principal_tag_environment, principal_tag_used_by
FROM k9.principals_latest
WHERE principal_is_iam_admin
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
ORDER BY customer_id, account_id, principal_arn;
