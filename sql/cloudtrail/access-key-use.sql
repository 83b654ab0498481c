-- +++
-- title  = "Use of access keys"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "access_key_id", "principal"]
-- noise  = ["calls", "failed_calls", "denied_calls", "last_seen", "last_source_ip_address"]
-- tags   = ["cloudtrail", "credentials"]
-- [params.access_key_id]
-- type = "text"
-- help = "one access key, of either kind"
-- [params.long_term_only]
-- type = "boolean"
-- default = true
-- help = "leave out temporary keys, unless one is named"
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
-- One row per access key id and principal that made calls with it: how many, how many failed and were denied, from
-- how many addresses and regions, and when first and last.
--
-- Without access_key_id these are the long-term keys of users and root, whose ids begin with AKIA; long_term_only =
-- false adds the temporary ones of sessions (ASIA). last_source_ip_address is where the newest call came from; of
-- several in one second, the greatest in the order of text. Sign-ins to the console use no key.
WITH calls AS (
  SELECT
    account_id,
    access_key_id,
    coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id) AS principal,
    event_time, region, source_ip_address, service, event_name, is_error, is_denied
  FROM cloudtrail.events
  WHERE access_key_id IS NOT NULL
    AND ($access_key_id IS NULL OR access_key_id = $access_key_id)
    AND ($access_key_id IS NOT NULL OR NOT $long_term_only OR access_key_id LIKE 'AKIA%')
    AND ($account_id IS NULL OR account_id = $account_id)
    AND ($since IS NULL OR event_time >= $since)
    AND ($until IS NULL OR event_time < $until)
),
uses AS (
  SELECT
    account_id,
    access_key_id,
    principal,
    count(*) AS calls,
    sum(CASE WHEN is_error THEN 1 ELSE 0 END) AS failed_calls,
    sum(CASE WHEN is_denied THEN 1 ELSE 0 END) AS denied_calls,
    count(DISTINCT service) AS services,
    count(DISTINCT source_ip_address) AS source_ip_addresses,
    count(DISTINCT region) AS regions,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen
  FROM calls
  GROUP BY account_id, access_key_id, principal
)
SELECT
  uses.account_id, uses.access_key_id, uses.principal, uses.calls, uses.failed_calls, uses.denied_calls,
  uses.services, uses.source_ip_addresses, uses.regions, uses.first_seen, uses.last_seen,
  max(calls.source_ip_address) AS last_source_ip_address
FROM uses
JOIN calls
  ON calls.account_id = uses.account_id
 AND calls.access_key_id = uses.access_key_id
 AND (calls.principal IS NOT DISTINCT FROM uses.principal)
 AND calls.event_time = uses.last_seen
GROUP BY
  uses.account_id, uses.access_key_id, uses.principal, uses.calls, uses.failed_calls, uses.denied_calls,
  uses.services, uses.source_ip_addresses, uses.regions, uses.first_seen, uses.last_seen
ORDER BY uses.account_id, uses.access_key_id, uses.principal;
