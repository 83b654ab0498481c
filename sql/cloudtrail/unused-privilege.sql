-- +++
-- title  = "Principals ranked by rights that they did not use"
-- reads  = ["cloudtrail.events", "k9.principal_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "principal_arn"]
-- tags   = ["cloudtrail", "least-privilege"]
-- [params.account_id]
-- type = "text"
-- help = "limit to principals of one AWS account"
-- [params.since]
-- type = "timestamp"
-- help = "only calls at or after this time count as use"
-- +++
-- One row per principal of k9's newest reports that has rights which it did not use within what the cache covers: how
-- many rights, how many unused, and of them how many administer, delete data, or reach resources tagged Confidential
-- or Restricted. The riskiest come first. A right is a capability on a service or on one of its resources;
-- cloudtrail/unused-rights lists those of one principal and says how use is found.
--
-- unknown_rights are not among the unused: the cache has no CloudTrail of the account (is_covered is false), they work
-- through data events that are not logged there, or calls used the capability without naming a resource. last_seen is
-- the principal's last successful call, of any service.
WITH granted AS (
  SELECT
    customer_id,
    account_id,
    principal_arn,
    max(principal_name) AS principal_name,
    service_name,
    access_capability,
    resource_arn,
    -- What requests call the resource: the last part of its ARN.
    reverse(split_part(reverse(replace(resource_arn, ':', '/')), '/', 1)) AS resource_name,
    max(resource_tag_confidentiality) AS resource_tag_confidentiality
  FROM k9.principal_access_summaries_latest
  WHERE ($account_id IS NULL OR account_id = $account_id)
    AND service_name IN (SELECT DISTINCT service_name FROM kennel.capabilities)
  GROUP BY customer_id, account_id, principal_arn, service_name, access_capability, resource_arn
),
calls AS (
  SELECT
    principal_arn, service, event_name, event_time, request_parameters,
    cardinality(resources) > 0 AS has_resources,
    CASE WHEN cardinality(resources) > 0 THEN resources[1].arn END AS arn
  FROM cloudtrail.events
  WHERE NOT is_error
    AND ($since IS NULL OR event_time >= $since)
),
targets AS (
  SELECT
    principal_arn,
    service,
    event_name,
    event_time,
    -- Objects are use of their bucket, indexes and streams of their table.
    CASE
      WHEN service = 's3' THEN split_part(arn, '/', 1)
      WHEN service = 'dynamodb' THEN concat(split_part(arn, '/', 1), '/', split_part(arn, '/', 2))
      ELSE arn
    END AS target_arn,
    CASE
      WHEN has_resources THEN NULL
      WHEN service = 's3' THEN json_extract_scalar(request_parameters, '$.bucketName')
      WHEN service = 'dynamodb' THEN json_extract_scalar(request_parameters, '$.tableName')
      WHEN service = 'iam' THEN coalesce(
        json_extract_scalar(request_parameters, '$.roleName'),
        json_extract_scalar(request_parameters, '$.userName'),
        json_extract_scalar(request_parameters, '$.groupName'))
      WHEN service = 'rds' THEN coalesce(
        json_extract_scalar(request_parameters, '$.dBInstanceIdentifier'),
        json_extract_scalar(request_parameters, '$.dBClusterIdentifier'),
        json_extract_scalar(request_parameters, '$.dBSnapshotIdentifier'))
      WHEN service = 'redshift' THEN json_extract_scalar(request_parameters, '$.clusterIdentifier')
      WHEN service = 'sqs'
        THEN reverse(split_part(reverse(json_extract_scalar(request_parameters, '$.queueUrl')), '/', 1))
    END AS target_name
  FROM calls
  -- Here rather than above: what is filtered there would be copied with its resources.
  WHERE service IN (SELECT DISTINCT service FROM kennel.capabilities)
),
-- Equal calls are counted before they are looked up.
called AS (
  SELECT principal_arn, service, event_name, target_arn, target_name, count(*) AS calls, max(event_time) AS last_used
  FROM targets
  GROUP BY principal_arn, service, event_name, target_arn, target_name
),
used AS (
  SELECT
    called.principal_arn,
    capabilities.service_name,
    capabilities.access_capability,
    called.target_arn,
    called.target_name,
    sum(called.calls) AS calls,
    max(called.last_used) AS last_used
  FROM called
  JOIN (SELECT DISTINCT service_name, access_capability, service, event_name FROM kennel.capabilities) AS capabilities
    ON capabilities.service = called.service
   AND capabilities.event_name = called.event_name
  WHERE called.principal_arn IN (SELECT DISTINCT principal_arn FROM granted)
  GROUP BY
    called.principal_arn, capabilities.service_name, capabilities.access_capability, called.target_arn,
    called.target_name
),
used_on_service AS (
  SELECT
    principal_arn, service_name, access_capability,
    sum(calls) AS calls,
    max(last_used) AS last_used,
    max(CASE WHEN target_arn IS NULL AND target_name IS NULL THEN 1 ELSE 0 END) AS names_nothing
  FROM used
  GROUP BY principal_arn, service_name, access_capability
),
-- A call names its target by ARN or by name, never by both: these are groups already.
used_on_arn AS (
  SELECT principal_arn, service_name, access_capability, target_arn, calls, last_used
  FROM used
  WHERE target_arn IS NOT NULL
),
used_on_name AS (
  SELECT principal_arn, service_name, access_capability, target_name, calls, last_used
  FROM used
  WHERE target_name IS NOT NULL
),
-- What the cache holds, in one pass over its events.
held AS (
  SELECT
    account_id, service, principal_arn,
    max(CASE WHEN event_category = 'Data' THEN 1 ELSE 0 END) AS has_data,
    max(CASE WHEN NOT is_error AND ($since IS NULL OR event_time >= $since) THEN event_time END) AS last_seen
  FROM cloudtrail.events
  GROUP BY account_id, service, principal_arn
),
covered AS (
  SELECT account_id FROM held GROUP BY account_id
),
logged AS (
  SELECT account_id, service FROM held WHERE has_data = 1 GROUP BY account_id, service
),
judged AS (
  SELECT
    granted.customer_id,
    granted.account_id,
    granted.principal_arn,
    granted.principal_name,
    granted.service_name,
    granted.access_capability,
    granted.resource_arn,
    granted.resource_tag_confidentiality,
    granted.access_capability = 'administer-resource' AS is_administer,
    granted.access_capability = 'delete-data' AS is_delete,
    coalesce(granted.resource_tag_confidentiality IN ('Confidential', 'Restricted'), false) AS is_sensitive,
    covered.account_id IS NOT NULL AS is_covered,
    CASE
      WHEN granted.resource_arn IS NULL AND used_on_service.principal_arn IS NOT NULL THEN 'used'
      WHEN used_on_arn.principal_arn IS NOT NULL OR used_on_name.principal_arn IS NOT NULL THEN 'used'
      WHEN covered.account_id IS NULL THEN 'unknown'
      WHEN used_on_service.names_nothing = 1 THEN 'unknown'
      WHEN granted.service_name IN ('S3', 'DynamoDB', 'DynamoDB Streams', 'SQS', 'RDS Data')
        AND granted.access_capability IN ('read-data', 'write-data', 'delete-data')
        AND logged.account_id IS NULL THEN 'unknown'
      ELSE 'unused'
    END AS status,
    CASE
      WHEN granted.resource_arn IS NULL THEN used_on_service.calls
      ELSE coalesce(used_on_arn.calls, 0) + coalesce(used_on_name.calls, 0)
    END AS calls,
    CASE
      WHEN granted.resource_arn IS NULL THEN used_on_service.last_used
      ELSE greatest(
        coalesce(used_on_arn.last_used, used_on_name.last_used),
        coalesce(used_on_name.last_used, used_on_arn.last_used))
    END AS last_used
  FROM granted
  LEFT JOIN used_on_service
    ON used_on_service.principal_arn = granted.principal_arn
   AND used_on_service.service_name = granted.service_name
   AND used_on_service.access_capability = granted.access_capability
  LEFT JOIN used_on_arn
    ON used_on_arn.principal_arn = granted.principal_arn
   AND used_on_arn.service_name = granted.service_name
   AND used_on_arn.access_capability = granted.access_capability
   AND used_on_arn.target_arn = granted.resource_arn
  LEFT JOIN used_on_name
    ON used_on_name.principal_arn = granted.principal_arn
   AND used_on_name.service_name = granted.service_name
   AND used_on_name.access_capability = granted.access_capability
   AND used_on_name.target_name = granted.resource_name
  LEFT JOIN covered ON covered.account_id = granted.account_id
  LEFT JOIN logged
    ON logged.account_id = granted.account_id
   AND logged.service = CASE granted.service_name
         WHEN 'S3' THEN 's3' WHEN 'SQS' THEN 'sqs' WHEN 'RDS Data' THEN 'rdsdata' ELSE 'dynamodb' END
),
seen AS (
  SELECT principal_arn, max(last_seen) AS last_seen FROM held GROUP BY principal_arn
)
SELECT
  judged.customer_id,
  judged.account_id,
  judged.principal_arn,
  judged.principal_name,
  count(*) AS rights,
  sum(CASE WHEN status = 'unused' THEN 1 ELSE 0 END) AS unused_rights,
  sum(CASE WHEN status = 'unused' AND is_administer THEN 1 ELSE 0 END) AS unused_administer,
  sum(CASE WHEN status = 'unused' AND is_delete THEN 1 ELSE 0 END) AS unused_delete,
  sum(CASE WHEN status = 'unused' AND is_sensitive THEN 1 ELSE 0 END) AS unused_sensitive,
  sum(CASE WHEN status = 'unknown' THEN 1 ELSE 0 END) AS unknown_rights,
  max(seen.last_seen) AS last_seen,
  judged.is_covered
FROM judged
LEFT JOIN seen ON seen.principal_arn = judged.principal_arn
GROUP BY judged.customer_id, judged.account_id, judged.principal_arn, judged.principal_name, judged.is_covered
HAVING sum(CASE WHEN status <> 'used' THEN 1 ELSE 0 END) > 0
ORDER BY
  is_covered DESC, unused_administer DESC, unused_delete DESC, unused_sensitive DESC, unused_rights DESC,
  customer_id, account_id, principal_arn;
