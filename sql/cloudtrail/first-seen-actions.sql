-- +++
-- title  = "Calls that a principal never made before"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "principal", "service", "event_name"]
-- noise  = ["last_seen", "calls", "failed_calls", "covered_from"]
-- tags   = ["cloudtrail", "nightly"]
-- [params.window_days]
-- type = "integer"
-- default = 7
-- help = "new is what was first seen in so many days before now"
-- [params.new_principals]
-- type = "boolean"
-- default = true
-- help = "also list principals of which nothing at all was seen before"
-- [params.include_services]
-- type = "boolean"
-- default = false
-- help = "also list calls of AWS's own services"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account: the one whose trail recorded the call"
-- +++
-- One row per principal, service and call whose first record lies in the last window_days: what is new.
--
-- Now is $as_of if given, else the time of the newest event that the cache holds. New means: not recorded before,
-- as far back as the cache reaches. covered_from is the account's oldest event and principal_first_seen the
-- principal's: where one of them lies inside the window, everything looks new. new_principals = false leaves out
-- principals that are new themselves. Failed calls count, and so do those of AWS's services unless include_services
-- is false. principal is the role behind a session, the user or root by its ARN, else what the record tells of the
-- caller.
WITH grouped AS (
  SELECT
    account_id,
    coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id) AS principal,
    service,
    event_name,
    (principal_type IS NOT DISTINCT FROM 'AWSService') AS is_service,
    count(*) AS calls,
    sum(CASE WHEN is_error THEN 1 ELSE 0 END) AS failed_calls,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen
  FROM cloudtrail.events
  WHERE account_id IS NOT NULL
    AND ($account_id IS NULL OR account_id = $account_id)
  GROUP BY
    account_id,
    coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id),
    service,
    event_name,
    (principal_type IS NOT DISTINCT FROM 'AWSService')
),
covered AS (
  SELECT
    account_id, principal, service, event_name, is_service, calls, failed_calls, first_seen, last_seen,
    min(first_seen) OVER (PARTITION BY account_id) AS covered_from
  FROM grouped
),
actions AS (
  SELECT
    account_id, principal, service, event_name,
    sum(calls) AS calls,
    sum(failed_calls) AS failed_calls,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen,
    min(covered_from) AS covered_from
  FROM covered
  WHERE $include_services OR NOT is_service
  GROUP BY account_id, principal, service, event_name
),
principals AS (
  SELECT
    account_id, principal, service, event_name, calls, failed_calls, first_seen, last_seen, covered_from,
    min(first_seen) OVER (PARTITION BY account_id, principal) AS principal_first_seen
  FROM actions
),
newest AS (
  SELECT date_add('day', 0 - $window_days, coalesce($as_of, max(event_time))) AS since
  FROM cloudtrail.events
)
SELECT
  principals.account_id,
  principals.principal,
  principals.service,
  principals.event_name,
  principals.first_seen,
  principals.last_seen,
  principals.calls,
  principals.failed_calls,
  principals.principal_first_seen,
  principals.covered_from
FROM principals
CROSS JOIN newest
WHERE principals.first_seen > newest.since
  AND ($new_principals OR principals.principal_first_seen <= newest.since)
ORDER BY principals.account_id, principals.principal, principals.service, principals.event_name;
