-- +++
-- title  = "What a principal called, with parameters and resources: the raw material of a policy"
-- reads  = ["cloudtrail.events"]
-- key    = ["event_id", "account_id"]
-- tags   = ["cloudtrail", "least-privilege"]
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
-- [params.brief]
-- type = "boolean"
-- default = false
-- help = "leave out from where each call came, and which it is: a good deal quicker"
-- +++
-- One row per set of equal calls of the principal: same call and parameters, resources, outcome, account, region, caller and
-- address. kennel policy makes IAM actions and resources of it. event_id is one of the calls, the least in the order of
-- text; of records without an id, the object and place of one of them. With brief, event_id, source_ip_address,
-- vpc_endpoint_id, mfa_authenticated, source_identity and has_tls are null, and calls that differ in nothing else are one set.
--
-- principal may be the ARN of a user or root; the ARN of a role, which finds the calls of all its sessions, with or
-- without the role's path; the ARN of a session (assumed-role/ROLE/SESSION), which finds that session, and without
-- the session's name all of the role; an access key id; the name of a session, as people of Identity Center have
-- their e-mail address there; the id of an Identity Center user; or a bare user or role name, in every account.
SELECT
  account_id,
  coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id) AS principal,
  principal_type,
  principal_name,
  principal_account_id,
  session_name,
  CASE WHEN NOT $brief THEN source_identity END AS source_identity,
  invoked_by,
  CASE WHEN NOT $brief THEN source_ip_address END AS source_ip_address,
  CASE WHEN NOT $brief THEN vpc_endpoint_id END AS vpc_endpoint_id,
  CASE WHEN NOT $brief THEN mfa_authenticated END AS mfa_authenticated,
  CASE WHEN NOT $brief THEN tls_version IS NOT NULL END AS has_tls,
  region,
  event_source,
  event_name,
  event_type,
  read_only,
  is_error,
  is_denied,
  request_parameters,
  resources,
  count(*) AS calls,
  min(event_time) AS first_seen,
  max(event_time) AS last_seen,
  min(CASE WHEN NOT $brief THEN coalesce(event_id, concat(object_key, '#', CAST(record_index AS VARCHAR))) END) AS event_id
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
GROUP BY
  account_id,
  coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id),
  principal_type, principal_name, principal_account_id, session_name,
  CASE WHEN NOT $brief THEN source_identity END,
  invoked_by,
  CASE WHEN NOT $brief THEN source_ip_address END,
  CASE WHEN NOT $brief THEN vpc_endpoint_id END,
  CASE WHEN NOT $brief THEN mfa_authenticated END,
  CASE WHEN NOT $brief THEN tls_version IS NOT NULL END,
  region, event_source, event_name, event_type, read_only, is_error, is_denied, request_parameters, resources
ORDER BY event_source, event_name, first_seen, event_id, account_id;
