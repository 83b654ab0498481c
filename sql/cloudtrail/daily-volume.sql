-- +++
-- title  = "Events per day and account"
-- reads  = ["cloudtrail.events"]
-- key    = ["day", "account_id", "event_category"]
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
-- One row per day (UTC, of the event, not of its delivery), account and class of events: how many there are, how
-- many failed and were denied, and how many principals made them.
--
-- Days without any event have no row: kennel.coverage shows what was delivered when, and the note on coverage names
-- gaps. The newest day is incomplete until its last files are delivered. principals counts those with an ARN.
SELECT
  CAST(event_time AS DATE) AS day,
  account_id,
  event_category,
  count(*) AS events,
  sum(CASE WHEN is_error THEN 1 ELSE 0 END) AS failed_calls,
  sum(CASE WHEN is_denied THEN 1 ELSE 0 END) AS denied_calls,
  count(DISTINCT principal_arn) AS principals
FROM cloudtrail.events
WHERE true
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY CAST(event_time AS DATE), account_id, event_category
ORDER BY day, account_id, event_category;
