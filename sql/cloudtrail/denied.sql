-- +++
-- title  = "Calls that were not allowed"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "principal", "service", "event_name", "error_code"]
-- noise  = ["denied_calls", "last_seen"]
-- tags   = ["cloudtrail", "nightly"]
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
-- One row per principal, call and error code that says that the caller may not do this: how often, from how many
-- addresses, first and last time, and one of the messages.
--
-- Services have many names for it: AccessDenied, AccessDeniedException, Client.UnauthorizedOperation and others; a
-- wrong password at the console is none. error_message is the first in the order of text, since messages name the
-- resource. principal is the role behind a session, the user or root by its ARN, else what the record tells of the
-- caller. Expected rows: scanners that try everything, and consoles that ask for more than their user may see.
SELECT
  account_id,
  coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id) AS principal,
  service,
  event_name,
  error_code,
  count(*) AS denied_calls,
  count(DISTINCT source_ip_address) AS source_ip_addresses,
  min(event_time) AS first_seen,
  max(event_time) AS last_seen,
  min(error_message) AS error_message
FROM cloudtrail.events
WHERE is_denied
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY
  account_id,
  coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id),
  service,
  event_name,
  error_code
ORDER BY account_id, principal, service, event_name, error_code;
