-- +++
-- title  = "IAM administrators by their last privileged call"
-- reads  = ["k9.principal_access_summaries_latest", "cloudtrail.events"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- noise  = ["last_privileged_call", "idle_days", "privileged_calls", "last_call", "calls", "covered_from", "covered_until"]
-- tags   = ["cloudtrail", "nightly", "iam"]
-- source = "k9 kata 1: when did an administrator last use the right"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per principal that k9 reports as an IAM administrator, with the last time that it used that power, as
-- CloudTrail recorded it.
--
-- An administrator has administer-resource on IAM, in general or on single resources, in the newest report of its
-- account. A privileged call is one that changes identities or permissions (services iam, sso, sso-directory,
-- identitystore and organizations, not read-only) and did not fail. Calls of a role's sessions are the role's, and
-- so are those that a service like CloudFormation made with its credentials. last_call is any call that did not
-- fail.
--
-- verdict is 'used', 'not used' (no privileged call in what the cache covers of the account, from covered_from to
-- covered_until) or 'not covered' (the cache has no CloudTrail of the account: nothing can be said). Not used is
-- only as good as the days covered; break-glass users and roles of deployments are used rarely. idle_days are whole
-- days from the last privileged call to now: $as_of if given, else the time of the newest event that the cache
-- holds.
WITH admins AS (
  SELECT
    customer_id, account_id, principal_arn,
    max(principal_name) AS principal_name,
    max(principal_type) AS principal_type
  FROM k9.principal_access_summaries_latest
  WHERE service_name = 'IAM'
    AND access_capability = 'administer-resource'
    AND ($customer_id IS NULL OR customer_id = $customer_id)
    AND ($account_id IS NULL OR account_id = $account_id)
  GROUP BY customer_id, account_id, principal_arn
),
-- Actions rather than calls: what was called last is among their last calls.
actions AS (
  SELECT principal_arn, service, event_name, read_only, count(*) AS calls, max(event_time) AS last_call
  FROM cloudtrail.events
  WHERE NOT is_error
  GROUP BY principal_arn, service, event_name, read_only
),
judged AS (
  SELECT
    principal_arn, calls, last_call,
    concat(service, ':', event_name) AS action,
    service IN ('iam', 'sso', 'sso-directory', 'identitystore', 'organizations')
      AND NOT coalesce(read_only, event_name LIKE 'Get%' OR event_name LIKE 'List%' OR event_name LIKE 'Describe%')
      AS is_privileged
  FROM actions
  WHERE principal_arn IN (SELECT principal_arn FROM admins)
),
used AS (
  SELECT
    principal_arn,
    sum(calls) AS calls,
    max(last_call) AS last_call,
    sum(CASE WHEN is_privileged THEN calls ELSE 0 END) AS privileged_calls,
    max(CASE WHEN is_privileged THEN last_call END) AS last_privileged_call
  FROM judged
  GROUP BY principal_arn
),
last_actions AS (
  SELECT used.principal_arn, max(judged.action) AS last_privileged_action
  FROM used
  JOIN judged ON judged.principal_arn = used.principal_arn AND judged.last_call = used.last_privileged_call
  WHERE judged.is_privileged
  GROUP BY used.principal_arn
),
covered AS (
  SELECT account_id, min(event_time) AS covered_from, max(event_time) AS covered_until
  FROM cloudtrail.events
  GROUP BY account_id
),
newest AS (
  SELECT coalesce($as_of, max(covered_until)) AS now
  FROM covered
)
SELECT
  admins.customer_id,
  admins.account_id,
  admins.principal_name,
  admins.principal_arn,
  admins.principal_type,
  CASE
    WHEN covered.account_id IS NULL THEN 'not covered'
    WHEN used.last_privileged_call IS NULL THEN 'not used'
    ELSE 'used'
  END AS verdict,
  used.last_privileged_call,
  last_actions.last_privileged_action,
  date_diff('day', used.last_privileged_call, newest.now) AS idle_days,
  coalesce(used.privileged_calls, 0) AS privileged_calls,
  used.last_call,
  coalesce(used.calls, 0) AS calls,
  covered.covered_from,
  covered.covered_until
FROM admins
CROSS JOIN newest
LEFT JOIN used ON used.principal_arn = admins.principal_arn
LEFT JOIN last_actions ON last_actions.principal_arn = admins.principal_arn
LEFT JOIN covered ON covered.account_id = admins.account_id
ORDER BY admins.customer_id, admins.account_id, admins.principal_arn;
