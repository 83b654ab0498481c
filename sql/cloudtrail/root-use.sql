-- +++
-- title  = "Use of the root user"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "event_id"]
-- audit  = { severity = "high" }
-- tags   = ["cloudtrail", "nightly"]
-- source = "CIS AWS Foundations Benchmark, monitoring of root use"
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
-- One row per call or sign-in of an account's root, oldest first, failed ones included.
--
-- Calls that a service made for the account (invoked_by) and events of services are left out: nobody signed in for
-- them. mfa_authenticated says whether the session had a second factor. Expected rows: the few tasks that only root
-- can do, like closing an account.
SELECT
  event_time, account_id, region, service, event_name, error_code, mfa_authenticated, source_ip_address, user_agent,
  CASE WHEN cardinality(resources) > 0 THEN resources[1].arn END AS resource_arn,
  event_id
FROM cloudtrail.events
WHERE principal_type = 'Root'
  AND invoked_by IS NULL
  AND (event_type IS DISTINCT FROM 'AwsServiceEvent')
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
ORDER BY
  event_time, account_id, event_id,
  -- Only records without an id need their place.
  CASE WHEN event_id IS NULL THEN object_key END,
  CASE WHEN event_id IS NULL THEN record_index END;
