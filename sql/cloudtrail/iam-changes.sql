-- +++
-- title  = "Changes of identities and permissions"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "event_id"]
-- tags   = ["cloudtrail", "nightly", "iam"]
-- source = "k9 docs, quick fixes, monitoring of IAM administration"
-- [params.include_failed]
-- type = "boolean"
-- default = false
-- help = "also list calls that failed or were denied"
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
-- One row per call that changed who there is and who may do what, oldest first: users, roles, groups, policies,
-- keys and passwords of IAM, permission sets and assignments of Identity Center, accounts and policies of the
-- organisation.
--
-- Services are iam, sso, sso-directory, identitystore and organizations; calls that only read are left out, told by
-- their name where an old record does not say so, and so are sign-ins to Identity Center. Calls that failed are
-- left out unless include_failed is true. request_parameters is the request as recorded: it names what was changed,
-- and of policies the document; AWS hides passwords in it. What the call returned is not shown: it may hold
-- secrets. Policies of resources, like those of buckets and keys, are not among them: see
-- cloudtrail/resource-events. Deployments are expected rows: invoked_by tells those that CloudFormation made.
SELECT
  event_time, account_id, principal_arn, session_name, service, event_name, error_code,
  source_ip_address, invoked_by, request_parameters, event_id
FROM cloudtrail.events
WHERE service IN ('iam', 'sso', 'sso-directory', 'identitystore', 'organizations')
  AND NOT coalesce(read_only, event_name LIKE 'Get%' OR event_name LIKE 'List%' OR event_name LIKE 'Describe%')
  AND event_name NOT IN ('Authenticate', 'Federate', 'Logout')
  AND ($include_failed OR NOT is_error)
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
ORDER BY
  event_time, account_id, event_id,
  -- Only records without an id need their place.
  CASE WHEN event_id IS NULL THEN object_key END,
  CASE WHEN event_id IS NULL THEN record_index END;
