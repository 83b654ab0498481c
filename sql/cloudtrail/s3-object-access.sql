-- +++
-- title  = "Who reads, writes and deletes objects in S3"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "bucket", "principal", "event_name"]
-- noise  = ["calls", "failed_calls", "denied_calls", "last_seen"]
-- tags   = ["cloudtrail"]
-- [params.bucket]
-- type = "text"
-- help = "limit to one bucket, by name"
-- [params.key_prefix]
-- type = "text"
-- help = "limit to objects whose key begins so"
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
-- One row per bucket, principal and call on objects: how often, how often denied, first and last time.
--
-- Rests on data events of S3, which trails log only where they are switched on: a bucket without rows may be a
-- bucket that is not logged. bucket is the name in the request. key_prefix keeps calls on keys that begin so.
-- DeleteObjects is one call, and since 2025 each object that it deletes has a DeleteObject of its own, which counts
-- as well. Requests without credentials have the principal ANONYMOUS_PRINCIPAL or that of an account. account_id is
-- the account whose trail recorded the call: of access across accounts, both do.
SELECT
  account_id,
  nullif(split_part(split_part(request_parameters, '"bucketName":"', 2), '"', 1), '') AS bucket,
  coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id) AS principal,
  event_name,
  count(*) AS calls,
  sum(CASE WHEN is_error THEN 1 ELSE 0 END) AS failed_calls,
  sum(CASE WHEN is_denied THEN 1 ELSE 0 END) AS denied_calls,
  count(DISTINCT source_ip_address) AS source_ip_addresses,
  min(event_time) AS first_seen,
  max(event_time) AS last_seen
FROM cloudtrail.events
WHERE service = 's3'
  AND event_category = 'Data'
  AND ($bucket IS NULL OR strpos(request_parameters, concat('"bucketName":"', $bucket, '"')) > 0)
  AND ($key_prefix IS NULL OR strpos(request_parameters, concat('"key":"', $key_prefix)) > 0)
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
GROUP BY
  account_id,
  nullif(split_part(split_part(request_parameters, '"bucketName":"', 2), '"', 1), ''),
  coalesce(principal_arn, identity_center_user_id, principal_name, principal_account_id),
  event_name
ORDER BY account_id, bucket, principal, event_name;
