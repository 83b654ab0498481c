-- +++
-- title  = "S3 access by confidentiality of the bucket"
-- reads  = ["k9.resource_access_summaries_latest", "k9.resources_latest"]
-- key    = ["customer_id", "account_id", "resource_tag_confidentiality", "access_capability"]
-- tags   = ["nightly", "s3", "data"]
-- source = "k9-splunk-viz, S3 access by confidentiality"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- +++
-- One row per account, confidentiality and capability: how many tagged buckets there are with such access, how
-- many distinct principals have it, and on how many bucket-principal pairs (access_count).
--
-- The tag is taken from the resources report (type S3Bucket) and joined on account and ARN, so older access
-- summaries without a tag column work too; the two reports of an account can be of different times. Buckets
-- without the tag, and rights on S3 in general, are not counted.
WITH buckets AS (
  SELECT
    customer_id, account_id, resource_arn,
    max(resource_tag_confidentiality) AS resource_tag_confidentiality
  FROM k9.resources_latest
  WHERE resource_type = 'S3Bucket'
    AND resource_tag_confidentiality IS NOT NULL
    AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
  GROUP BY customer_id, account_id, resource_arn
),
access AS (
  SELECT DISTINCT customer_id, account_id, resource_arn, access_capability, principal_arn
  FROM k9.resource_access_summaries_latest
  WHERE service_name = 'S3'
    AND ($customer_id IS NULL OR customer_id = $customer_id)
  AND ($account_id IS NULL OR account_id = $account_id)
)
SELECT
  buckets.customer_id,
  buckets.account_id,
  buckets.resource_tag_confidentiality,
  access.access_capability,
  count(DISTINCT access.resource_arn) AS bucket_count,
  count(DISTINCT access.principal_arn) AS principal_count,
  count(*) AS access_count
FROM access
JOIN buckets
  ON buckets.customer_id = access.customer_id
 AND buckets.account_id = access.account_id
 AND buckets.resource_arn = access.resource_arn
GROUP BY buckets.customer_id, buckets.account_id, buckets.resource_tag_confidentiality, access.access_capability
ORDER BY
  buckets.customer_id, buckets.account_id, buckets.resource_tag_confidentiality, access.access_capability;
