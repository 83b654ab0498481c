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
WITH named AS (
  SELECT object_key, record_index, resource
  FROM cloudtrail.events
  CROSS JOIN UNNEST(resources) AS listed(resource)
  WHERE cardinality(resources) > 0
  AND ($account_id IS NULL OR account_id = $account_id)
  AND ($since IS NULL OR event_time >= $since)
  AND ($until IS NULL OR event_time < $until)
),
matching AS (
  SELECT object_key, record_index, min(resource.arn) AS resource_arn
  FROM named
  WHERE resource.arn = $resource
     OR strpos(resource.arn, concat($resource, '/')) = 1
     OR strpos(resource.arn, concat($resource, ':')) = 1
  GROUP BY object_key, record_index
)
SELECT
  events.event_time, events.account_id, events.region, events.principal_arn, events.session_name,
  events.service, events.event_name, events.read_only, events.error_code, events.source_ip_address,
  events.invoked_by, matching.resource_arn, events.shared_event_id, events.event_id
FROM cloudtrail.events
LEFT JOIN matching
  ON matching.object_key = events.object_key AND matching.record_index = events.record_index
WHERE (matching.object_key IS NOT NULL
       OR strpos(events.request_parameters, concat('"', $resource, '"')) > 0)
  AND ($include_reads OR (events.read_only IS DISTINCT FROM true))
  AND ($account_id IS NULL OR events.account_id = $account_id)
  AND ($since IS NULL OR events.event_time >= $since)
  AND ($until IS NULL OR events.event_time < $until)
ORDER BY events.event_time, events.account_id, events.event_id, events.object_key, events.record_index;
