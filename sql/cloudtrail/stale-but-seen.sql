-- +++
-- title  = "Principals that are stale by k9, and when CloudTrail last saw them"
-- reads  = ["k9.principals_latest", "cloudtrail.events"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- noise  = ["principal_last_used", "last_seen", "calls", "analysis_time", "covered_from", "covered_until"]
-- tags   = ["cloudtrail", "nightly", "iam"]
-- source = "k9 katas 1 and 2; k9 principals joined with CloudTrail"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.max_idle_days]
-- type = "integer"
-- default = 90
-- help = "unused by k9 from this many days without use"
-- [params.seen_only]
-- type = "boolean"
-- default = false
-- help = "only principals that CloudTrail did see"
-- +++
-- One row per user or role that k9 reports as unused, with its last call in CloudTrail.
--
-- Unused by k9: no recorded use, or the last use at least max_idle_days times 24 hours before the analysis of its
-- report (before $as_of, if given). verdict is 'seen' (CloudTrail has a call that is newer than the use that k9
-- knows: the report was older than the use, or AWS's data on last use lags, so do not remove it), 'not seen' (no
-- such call in what the cache covers of the account, from covered_from to covered_until), or 'not covered' (the
-- cache has no CloudTrail of the account: nothing can be said). Rows of other verdicts than 'seen' are left out
-- when seen_only.
--
-- Calls of a role's sessions are the role's. Denied calls count, since somebody had the credentials; sign-ins to
-- the console that failed do not. Data events that are switched off may hide use.
WITH stale AS (
  SELECT
    customer_id, account_id, principal_name, principal_arn, principal_type, principal_is_iam_admin,
    principal_last_used, analysis_time
  FROM k9.principals_latest
  WHERE (principal_last_used IS NULL
         OR principal_last_used <= date_add('day', 0 - $max_idle_days, coalesce($as_of, analysis_time)))
    AND ($customer_id IS NULL OR customer_id = $customer_id)
    AND ($account_id IS NULL OR account_id = $account_id)
),
seen AS (
  SELECT principal_arn, count(*) AS calls, min(event_time) AS first_seen, max(event_time) AS last_seen
  FROM cloudtrail.events
  WHERE principal_arn IN (SELECT principal_arn FROM stale)
    AND NOT (is_error AND event_name = 'ConsoleLogin')
  GROUP BY principal_arn
),
covered AS (
  SELECT account_id, min(event_time) AS covered_from, max(event_time) AS covered_until
  FROM cloudtrail.events
  GROUP BY account_id
),
judged AS (
  SELECT
    stale.customer_id, stale.account_id, stale.principal_name, stale.principal_arn, stale.principal_type,
    stale.principal_is_iam_admin,
    CASE
      WHEN seen.last_seen > coalesce(stale.principal_last_used, TIMESTAMP '1970-01-01 00:00:00') THEN 'seen'
      WHEN covered.account_id IS NULL THEN 'not covered'
      ELSE 'not seen'
    END AS verdict,
    stale.principal_last_used,
    seen.first_seen,
    seen.last_seen,
    coalesce(seen.calls, 0) AS calls,
    stale.analysis_time,
    covered.covered_from,
    covered.covered_until
  FROM stale
  LEFT JOIN seen ON seen.principal_arn = stale.principal_arn
  LEFT JOIN covered ON covered.account_id = stale.account_id
)
SELECT
  customer_id, account_id, principal_name, principal_arn, principal_type, principal_is_iam_admin, verdict,
  principal_last_used, first_seen, last_seen, calls, analysis_time, covered_from, covered_until
FROM judged
WHERE NOT $seen_only OR verdict = 'seen'
ORDER BY customer_id, account_id, principal_arn;
