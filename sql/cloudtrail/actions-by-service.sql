-- +++
-- title  = "Services in use, by account"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "service"]
-- noise  = ["calls", "failed_calls", "denied_calls", "last_seen"]
-- tags   = ["cloudtrail"]
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account: the one whose trail recorded the call"
-- [params.since]
-- type = "timestamp"
-- help = "only calls at or after this time"
-- [params.until]
-- type = "timestamp"
-- help = "only calls before this time"
-- +++
-- One row per account and service: calls, how many different calls and principals they were, how many failed and
-- were denied, first and last time.
--
-- service is the event source without .amazonaws.com, which is not always the prefix of IAM actions (monitoring is
-- CloudWatch). Calls of AWS's own services are counted like all others; principals counts those with an ARN.
-- account_id is the account whose trail recorded the call.
SELECT
  account_id,
  service,
  count(*) AS calls,
  count(DISTINCT event_name) AS different_calls,
  count(DISTINCT principal_arn) AS principals,
  sum(CASE WHEN is_error THEN 1 ELSE 0 END) AS failed_calls,
  sum(CASE WHEN is_denied THEN 1 ELSE 0 END) AS denied_calls,
  min(event_time) AS first_seen,
  max(event_time) AS last_seen
FROM cloudtrail.events
WHERE true
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY account_id, service
ORDER BY account_id, service;
