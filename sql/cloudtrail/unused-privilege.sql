-- +++
-- title  = "Principals ranked by rights on services that they did not call"
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
-- One row per principal of k9's newest reports that has rights on a service of k9's map which it did not call
-- successfully within what the cache covers: how many rights, and of them how many administer, delete, or reach
-- resources tagged Confidential or Restricted. A right is a capability on a service. The riskiest come first.
--
-- Whole services are compared, not single actions: who called S3 once, used S3. kennel policy compare PRINCIPAL goes down
-- to capabilities and resources. Calls of services that CloudTrail does not log here, like data events that are
-- switched off, are not use: unlogged_rights are those that work through data events alone, and may be in use all the
-- same. last_seen is the last call of the principal, of any service. Where is_covered is false, the cache has no
-- CloudTrail of the account, and nothing is known about use.
WITH granted AS (
  SELECT
    customer_id,
    account_id,
    principal_arn,
    principal_name,
    service_name,
    access_capability,
    max(CASE WHEN resource_tag_confidentiality IN ('Confidential', 'Restricted') THEN 1 ELSE 0 END) AS is_sensitive,
    CASE service_name
      WHEN 'Athena' THEN 'athena'
      WHEN 'CloudTrail' THEN 'cloudtrail'
      WHEN 'DynamoDB' THEN 'dynamodb'
      WHEN 'DynamoDB Accelerator (DAX)' THEN 'dax'
      WHEN 'DynamoDB Streams' THEN 'dynamodb'
      WHEN 'EventBridge' THEN 'events'
      WHEN 'IAM' THEN 'iam'
      WHEN 'KMS' THEN 'kms'
      WHEN 'RDS' THEN 'rds'
      WHEN 'RDS Data' THEN 'rdsdata'
      WHEN 'Redshift' THEN 'redshift'
      WHEN 'S3' THEN 's3'
      WHEN 'SQS' THEN 'sqs'
      WHEN 'STS' THEN 'sts'
    END AS service
  FROM k9.principal_access_summaries_latest
  WHERE ($account_id IS NULL OR account_id = $account_id)
  GROUP BY customer_id, account_id, principal_arn, principal_name, service_name, access_capability
),
used AS (
  SELECT principal_arn, service, max(event_time) AS last_seen
  FROM cloudtrail.events
  WHERE principal_arn IS NOT NULL
    AND NOT is_error
    AND ($since IS NULL OR event_time >= $since)
  GROUP BY principal_arn, service
),
seen AS (
  SELECT principal_arn, max(last_seen) AS last_seen
  FROM used
  GROUP BY principal_arn
),
covered AS (
  SELECT account_id FROM cloudtrail.events GROUP BY account_id
)
SELECT
  granted.customer_id,
  granted.account_id,
  granted.principal_arn,
  granted.principal_name,
  count(*) AS rights,
  sum(CASE WHEN used.service IS NULL THEN 1 ELSE 0 END) AS unused_rights,
  sum(CASE WHEN used.service IS NULL AND granted.access_capability = 'administer-resource' THEN 1 ELSE 0 END) AS unused_administer,
  sum(CASE WHEN used.service IS NULL AND granted.access_capability = 'delete-data' THEN 1 ELSE 0 END) AS unused_delete,
  sum(CASE WHEN used.service IS NULL AND granted.is_sensitive = 1 THEN 1 ELSE 0 END) AS unused_sensitive,
  sum(CASE WHEN used.service IS NULL
            AND granted.service_name IN ('S3', 'DynamoDB', 'DynamoDB Streams', 'SQS', 'RDS Data')
            AND granted.access_capability IN ('read-data', 'write-data', 'delete-data') THEN 1 ELSE 0 END) AS unlogged_rights,
  max(seen.last_seen) AS last_seen,
  covered.account_id IS NOT NULL AS is_covered
FROM granted
LEFT JOIN used
  ON used.principal_arn = granted.principal_arn
 AND used.service = granted.service
LEFT JOIN seen
  ON seen.principal_arn = granted.principal_arn
LEFT JOIN covered
  ON covered.account_id = granted.account_id
WHERE granted.service IS NOT NULL
GROUP BY
  granted.customer_id, granted.account_id, granted.principal_arn, granted.principal_name, covered.account_id IS NOT NULL
HAVING sum(CASE WHEN used.service IS NULL THEN 1 ELSE 0 END) > 0
ORDER BY is_covered DESC, unused_administer DESC, unused_delete DESC, unused_sensitive DESC, unused_rights DESC, customer_id, account_id, principal_arn;
