-- +++
-- title  = "What was done to a resource"
-- reads  = ["cloudtrail.events"]
-- key    = ["account_id", "event_id"]
-- tags   = ["cloudtrail"]
-- [params.resource]
-- type = "text"
-- required = true
-- help = "ARN of the resource, or its name or id as requests have it"
-- [params.include_reads]
-- type = "boolean"
-- default = true
-- help = "also list calls that only read"
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
-- One row per recorded call that names the resource, oldest first, failed calls included.
--
-- A call names it when an entry of its resources has this ARN or one below it (an object of the bucket, a stream of
-- the log group), or when a value in its request parameters is exactly this text: many services put only a name
-- there, and none in resources, so that resource may be an ARN, a bucket, a table, a user or an instance id. A name
-- is looked for in every account and service. resource_arn is the matching entry, the first in the order of text;
-- null where only the request parameters match.
--
-- A call into another account's resource is recorded by both accounts: two rows, with one shared_event_id.
SELECT
  event_time, account_id, region, principal_arn, session_name,
  service, event_name, read_only, error_code, source_ip_address, invoked_by,
  array_min(transform(
    filter(resources, r -> r.arn = $resource
      OR starts_with(r.arn, concat($resource, '/'))
      OR starts_with(r.arn, concat($resource, ':'))),
    r -> r.arn)) AS resource_arn,
  shared_event_id, event_id
FROM cloudtrail.events
WHERE (
    strpos(request_parameters, concat('"', $resource, '"')) > 0
    -- The test for null lets a scan decide this, which then reads the other columns of few rows. Few ARNs begin so.
    OR (resources IS NOT NULL
        AND any_match(resources, r -> starts_with(r.arn, $resource)
          AND (r.arn = $resource
            OR starts_with(r.arn, concat($resource, '/'))
            OR starts_with(r.arn, concat($resource, ':')))))
  )
  AND ($include_reads OR (read_only IS DISTINCT FROM true))
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
ORDER BY
  event_time, account_id, event_id,
  -- Only records without an id need their place.
  CASE WHEN event_id IS NULL THEN object_key END,
  CASE WHEN event_id IS NULL THEN record_index END;
