-- +++
-- title  = "Console sign-ins without a second factor"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "event_id"]
-- audit  = { severity = "high" }
-- tags   = ["cloudtrail", "nightly", "credentials"]
-- source = "AWS CloudTrail user guide, AWS Management Console sign-in events"
-- [params.include_failed]
-- type = "boolean"
-- default = false
-- help = "also list attempts that failed"
-- [params.include_federated]
-- type = "boolean"
-- default = false
-- help = "also list sign-ins of roles, whose second factor CloudTrail does not know"
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
-- One row per sign-in to the console of a user or root that gave no second factor, oldest first.
--
-- Rows are ConsoleLogin events that succeeded, where the record says MFAUsed No or nothing. include_failed adds
-- attempts that failed. Sessions of roles, that is, of Identity Center and other identity providers, are left out
-- unless include_federated is true: CloudTrail says No for all of them, whatever the provider asked for.
-- principal_name is HIDDEN_DUE_TO_SECURITY_REASONS where somebody typed a user name that does not exist.
SELECT
  event_time, account_id, region, principal_type, principal_arn, principal_name, source_ip_address, user_agent,
  is_error AS is_failed,
  event_id
FROM cloudtrail.events
WHERE event_name = 'ConsoleLogin'
  AND service = 'signin'
  AND (mfa_authenticated IS DISTINCT FROM true)
  AND ($include_failed OR NOT is_error)
  AND ($include_federated OR principal_type IN ('IAMUser', 'Root'))
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
ORDER BY
  event_time, account_id, event_id,
  -- Only records without an id need their place.
  CASE WHEN event_id IS NULL THEN object_key END,
  CASE WHEN event_id IS NULL THEN record_index END;
