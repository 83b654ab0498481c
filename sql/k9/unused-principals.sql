-- +++
-- title  = "Users and roles without recent use"
-- reads  = ["k9.principals_latest"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- noise  = ["principal_last_used", "idle_days"]
-- audit  = { severity = "low" }
-- tags   = ["nightly", "daily", "iam"]
-- source = "k9 kata 2; k9-splunk-viz"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.max_idle_days]
-- type = "integer"
-- default = 90
-- help = "unused from this many days without use"
-- +++
-- One row per principal that has no recorded use (never_used) or whose last use lies at or before the start of the
-- day max_idle_days before now.
--
-- Now is $as_of if given, else the analysis time of the row's own report. idle_days counts whole days to that
-- moment. AWS remembers the use of a role for about 400 days and of a user since mid-2015: older use looks like
-- never.
--
-- Expected rows: service-linked roles, break-glass users, principals created yesterday (the report has no creation
-- date), and principals that are needed without ever being used as such, like k9's own policy simulation user.
-- State of passwords and keys is not considered.
SELECT
  customer_id, account_id, principal_name, principal_arn, principal_type, principal_is_iam_admin,
  principal_last_used,
  date_diff('day', principal_last_used, coalesce($as_of, analysis_time)) AS idle_days,
  principal_last_used IS NULL AS never_used
FROM k9.principals_latest
WHERE (principal_last_used IS NULL
       OR principal_last_used
          <= date_add('day', 0 - $max_idle_days, date_trunc('day', coalesce($as_of, analysis_time))))
  AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
ORDER BY customer_id, account_id, principal_arn;
