-- +++
-- title  = "Who assumed which role, from where, and through which roles"
-- reads  = ["cloudtrail.events"]
-- key    = ["role_arn", "chain", "source_ip_address"]
-- noise  = ["assumptions", "last_seen"]
-- tags   = ["cloudtrail", "roles"]
-- accounts = "result"
-- [params.account_id]
-- type = "text"
-- help = "limit to roles of one AWS account"
-- [params.role]
-- type = "text"
-- help = "limit to one role, by ARN or name"
-- [params.principal]
-- type = "text"
-- help = "limit to what this user, role, service or account began or assumed itself; by ARN or name"
-- [params.max_hops]
-- type = "integer"
-- default = 5
-- help = "follow chains over so many roles"
-- [params.include_services]
-- type = "boolean"
-- default = true
-- help = "also list roles that AWS's own services assumed"
-- [params.since]
-- type = "timestamp"
-- help = "only calls at or after this time"
-- [params.until]
-- type = "timestamp"
-- help = "only calls before this time"
-- +++
-- One row per role, way to it and source address: who assumed the role, how often, first and last time.
--
-- Rows rest on AssumeRole, AssumeRoleWithSAML and AssumeRoleWithWebIdentity calls that succeeded. assumed_by is who
-- made the call; origin is who began: where the caller was itself a session of a role and the call that made this
-- session is recorded, the chain is followed back, over all mirrored accounts, to a user, an identity provider, a
-- service or another account. chain names the way, hop_count its length, at most max_hops. A step follows another
-- when a session of that role with that session name made it, later; two people who use one session name for one
-- role cannot be told apart. Roles further on than max_hops have no row. A chain that begins with a role began
-- before what the cache covers, or in an account whose trail is not mirrored, or with a session that prolonged
-- itself. A caller of an account that is not mirrored is known by its account only.
--
-- Both records of a call across accounts count as one call. account_id is the role's account; account and
-- account_id limit the rows, not the chains. Permission sets of Identity Center are roles, assumed through SAML.
WITH RECURSIVE assumed AS (
  SELECT
    account_id,
    shared_event_id,
    event_id,
    object_key,
    record_index,
    event_time,
    principal_type,
    coalesce(principal_arn, identity_center_user_id, principal_name) AS caller,
    principal_account_id,
    session_name,
    source_ip_address,
    resources,
    nullif(split_part(split_part(request_parameters, '"roleArn":"', 2), '"', 1), '') AS requested_role,
    nullif(split_part(split_part(request_parameters, '"roleSessionName":"', 2), '"', 1), '') AS role_session_name
  FROM cloudtrail.events
  WHERE service = 'sts'
    AND event_name IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
    AND NOT is_error
    AND ($include_services OR (principal_type IS DISTINCT FROM 'AWSService'))
    AND ($since IS NULL OR event_time >= $since)
    AND ($until IS NULL OR event_time < $until)
),
-- What records say, counted. Of a record that another account may have as well, or that does not say what was asked for,
-- is_part: it needs more columns, so such records are looked for only in the accounts that have some.
told AS (
  SELECT
    coalesce(caller, principal_account_id) AS assumed_by,
    principal_type AS assumed_by_type,
    session_name AS by_session,
    requested_role AS role_arn,
    role_session_name,
    source_ip_address,
    shared_event_id IS NOT NULL OR requested_role IS NULL AS is_part,
    CASE WHEN shared_event_id IS NOT NULL OR requested_role IS NULL THEN account_id END AS part_of,
    count(*) AS assumptions,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen
  FROM assumed
  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
),
parts AS (
  SELECT
    coalesce(shared_event_id, event_id, concat(object_key, '#', CAST(record_index AS VARCHAR))) AS call_id,
    event_time, principal_type, caller, principal_account_id, session_name, source_ip_address,
    coalesce(requested_role, CASE WHEN cardinality(resources) > 0 THEN resources[1].arn END) AS role_arn,
    role_session_name
  FROM assumed
  WHERE (shared_event_id IS NOT NULL OR requested_role IS NULL)
    AND account_id IN (SELECT DISTINCT part_of FROM told WHERE is_part)
),
joined AS (
  SELECT
    min(event_time) AS event_time,
    coalesce(max(caller), max(principal_account_id)) AS assumed_by,
    coalesce(max(CASE WHEN caller IS NOT NULL THEN principal_type END), max(principal_type)) AS assumed_by_type,
    max(session_name) AS by_session,
    max(source_ip_address) AS source_ip_address,
    max(role_arn) AS role_arn,
    max(role_session_name) AS role_session_name
  FROM parts
  GROUP BY call_id
),
hops AS (
  SELECT
    assumed_by, assumed_by_type, by_session, role_arn, role_session_name, source_ip_address,
    sum(assumptions) AS assumptions,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen
  FROM (
    SELECT
      assumed_by, assumed_by_type, by_session, role_arn, role_session_name, source_ip_address,
      assumptions, first_seen, last_seen
    FROM told
    WHERE NOT is_part
    UNION ALL
    SELECT
      assumed_by, assumed_by_type, by_session, role_arn, role_session_name, source_ip_address,
      1, event_time, event_time
    FROM joined
  )
  GROUP BY assumed_by, assumed_by_type, by_session, role_arn, role_session_name, source_ip_address
),
-- When a session of a role first began, as far as it did not prolong itself.
starts AS (
  SELECT role_arn, role_session_name, min(first_seen) AS first_seen
  FROM hops
  WHERE assumed_by <> role_arn
  GROUP BY role_arn, role_session_name
),
-- Athena wants the columns of a recursion named here.
chains (
  origin, origin_type, chain, hop_count, assumed_by, role_arn, role_session_name, source_ip_address,
  assumptions, first_seen, last_seen
) AS (
  SELECT
    hops.assumed_by AS origin,
    hops.assumed_by_type AS origin_type,
    concat(hops.assumed_by, ' > ', hops.role_arn) AS chain,
    CAST(1 AS BIGINT) AS hop_count,
    hops.assumed_by, hops.role_arn, hops.role_session_name, hops.source_ip_address,
    hops.assumptions, hops.first_seen, hops.last_seen
  FROM hops
  LEFT JOIN starts
    ON starts.role_arn = hops.assumed_by
   AND starts.role_session_name = hops.by_session
   AND starts.first_seen <= hops.first_seen
  WHERE starts.role_arn IS NULL
  UNION ALL
  SELECT
    chains.origin,
    chains.origin_type,
    concat(chains.chain, ' > ', hops.role_arn) AS chain,
    chains.hop_count + 1 AS hop_count,
    hops.assumed_by, hops.role_arn, hops.role_session_name, hops.source_ip_address,
    hops.assumptions, hops.first_seen, hops.last_seen
  FROM chains
  JOIN hops
    ON hops.assumed_by = chains.role_arn
   AND hops.by_session = chains.role_session_name
  WHERE chains.first_seen <= hops.first_seen
    AND chains.hop_count < $max_hops
    -- A session that prolongs itself leads nowhere new.
    AND hops.role_arn <> chains.role_arn
)
SELECT
  split_part(role_arn, ':', 5) AS account_id,
  role_arn,
  assumed_by,
  origin,
  max(origin_type) AS origin_type,
  hop_count,
  chain,
  source_ip_address,
  sum(assumptions) AS assumptions,
  count(DISTINCT role_session_name) AS session_names,
  min(first_seen) AS first_seen,
  max(last_seen) AS last_seen
FROM chains
WHERE ($role IS NULL OR role_arn = $role OR reverse(split_part(reverse(role_arn), '/', 1)) = $role)
  AND ($principal IS NULL OR origin = $principal OR assumed_by = $principal
       OR reverse(split_part(reverse(origin), '/', 1)) = $principal)
  AND ($account_id IS NULL OR split_part(role_arn, ':', 5) = $account_id)
GROUP BY role_arn, assumed_by, origin, hop_count, chain, source_ip_address
ORDER BY account_id, role_arn, chain, assumed_by, source_ip_address;
