-- +++
-- title  = "Actions used: service, call, how often, first and last time"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "principal", "service", "event_name"]
-- noise  = ["calls", "failed_calls", "denied_calls", "last_seen"]
-- tags   = ["cloudtrail", "least-privilege"]
-- source = "Midnyte City, 'Using AWS Athena and CloudTrail to shape permissions for a Machine Account', 2022"
-- [params.principal]
-- type = "text"
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
-- One row per principal, service and call: how often it was made, how often it failed, and when first and last. Of
-- one principal, this is the list of what it uses of its permissions.
--
-- principal may be the ARN of a user or root; the ARN of a role, which finds the calls of all its sessions, with or
-- without the role's path; the ARN of a session (assumed-role/ROLE/SESSION), which finds that session, and without
-- the session's name all of the role; an access key id; the name of a session, as people of Identity Center have
-- their e-mail address there; the id of an Identity Center user; or a bare user or role name, in every account.
-- Without principal, all principals are listed.
--
-- principal in the answer is the role behind a session, the user, or root, by its ARN; for a service its name, for
-- somebody of Identity Center the user id, for a caller of another account that account. denied_calls are part of
-- failed_calls, and both of calls: a denied call was tried, not used. Calls that a service made with the
-- principal's credentials count as the principal's. account_id is the account whose trail recorded the call: a call
-- into another account is recorded by both. event_name is CloudTrail's; some of them differ from the IAM action.
-- Actions that are not logged, like data events that are switched off, are not here although they may be in use.
SELECT
  account_id,
  coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id) AS principal,
  service,
  event_name,
  count(*) AS calls,
  sum(CASE WHEN is_error THEN 1 ELSE 0 END) AS failed_calls,
  sum(CASE WHEN is_denied THEN 1 ELSE 0 END) AS denied_calls,
  min(event_time) AS first_seen,
  max(event_time) AS last_seen
FROM cloudtrail.events
WHERE ($principal IS NULL OR (
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
  ))
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY
  account_id,
  coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id),
  service,
  event_name
ORDER BY account_id, principal, service, event_name;
