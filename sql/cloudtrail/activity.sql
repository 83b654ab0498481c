-- +++
-- title  = "What a principal did, call by call"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "event_id"]
-- tags   = ["cloudtrail"]
-- [params.principal]
-- type = "text"
-- required = true
-- help = "ARN of a user, role or session, access key id, session name, Identity Center user id, or a bare name"
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
-- One row per recorded call of the principal, oldest first, failed calls and console sign-ins included.
--
-- principal may be the ARN of a user or root; the ARN of a role, which finds the calls of all its sessions, with or
-- without the role's path; the ARN of a session (assumed-role/ROLE/SESSION), which finds that session, and without
-- the session's name all of the role; an access key id; the name of a session, as people of Identity Center have
-- their e-mail address there; the id of an Identity Center user; or a bare user or role name, in every account.
--
-- A call into another account's resource is recorded by both accounts. The other account's record does not name the
-- caller, so that only session and account tell; it is found by the session's name alone. resource_arn is the first
-- resource that the record names, where it names any. Calls that a service made with the principal's credentials
-- are there, with invoked_by. What CloudTrail did not log, like data events that are switched off, is not here.
SELECT
  event_time, account_id, region, principal_arn, session_name, access_key_id,
  service, event_name, error_code, source_ip_address, invoked_by,
  CASE WHEN cardinality(resources) > 0 THEN resources[1].arn END AS resource_arn,
  event_id
FROM cloudtrail.events
WHERE (
    principal_arn = $principal
    -- Nothing else is called like an ARN: for one, no more columns are read.
    OR ($principal NOT LIKE 'arn:%'
        AND (principal_name = $principal
             OR session_name = $principal
             OR access_key_id = $principal
             OR identity_center_user_id = $principal))
    -- Names are unique in an account, whatever path the ARN has or leaves out.
    OR ($principal LIKE 'arn:%:iam::%:user/%'
        AND principal_type = 'IAMUser'
        AND principal_account_id = split_part($principal, ':', 5)
        AND principal_name = reverse(split_part(reverse($principal), '/', 1)))
    OR ($principal LIKE 'arn:%:iam::%:role/%'
        AND principal_type IN ('AssumedRole', 'Role')
        AND principal_account_id = split_part($principal, ':', 5)
        AND principal_name = reverse(split_part(reverse($principal), '/', 1)))
    OR ($principal LIKE 'arn:%:sts::%:assumed-role/%'
        AND principal_type = 'AssumedRole'
        AND principal_account_id = split_part($principal, ':', 5)
        AND principal_name = split_part($principal, '/', 2)
        AND (coalesce(split_part($principal, '/', 3), '') = '' OR session_name = split_part($principal, '/', 3)))
  )
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
ORDER BY
  event_time, account_id, event_id,
  -- Only records without an id need their place.
  CASE WHEN event_id IS NULL THEN object_key END,
  CASE WHEN event_id IS NULL THEN record_index END;
