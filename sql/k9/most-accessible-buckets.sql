-- +++
-- title  = "Sensitive S3 buckets that most principals can reach"
-- reads  = ["k9.resource_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "resource_arn"]
-- noise  = ["place"]
-- tags   = ["nightly", "s3"]
-- source = "k9-datadog-viz, most accessible sensitive buckets"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.confidentiality]
-- type = "text[]"
-- default = ["Internal"]
-- help = "values of the Confidentiality tag to look at"
-- [params.capabilities]
-- type = "text[]"
-- default = ["read-data"]
-- help = "capabilities to count"
-- [params.limit]
-- type = "integer"
-- default = 10
-- help = "how many buckets"
-- +++
-- The S3 buckets of the chosen confidentiality with the most access rows of the chosen capabilities in the newest
-- reports, over all accounts, best first.
--
-- row_count decides the place, as on k9's dashboard: one row per principal and capability. principal_count counts
-- distinct principal ARNs. Buckets without a confidentiality tag are not looked at, whatever they hold. Ties are
-- broken by customer, account and ARN. For writing, give capabilities write-data,delete-data.
WITH counted AS (
  SELECT
    customer_id, account_id,
    max(resource_name) AS resource_name,
    resource_arn,
    max(resource_tag_confidentiality) AS resource_tag_confidentiality,
    count(*) AS row_count,
    count(DISTINCT principal_arn) AS principal_count
  FROM k9.resource_access_summaries_latest
  WHERE service_name = 'S3'
    AND array_has($confidentiality, resource_tag_confidentiality)
    AND array_has($capabilities, access_capability)
    AND ($customer_id IS NULL OR customer_id = $customer_id)
    AND ($account_id IS NULL OR account_id = $account_id)
  GROUP BY customer_id, account_id, resource_arn
),
ranked AS (
  SELECT
    row_number() OVER (ORDER BY row_count DESC, customer_id, account_id, resource_arn) AS place,
    customer_id, account_id, resource_name, resource_arn, resource_tag_confidentiality, row_count, principal_count
  FROM counted
)
SELECT
  place, customer_id, account_id, resource_name, resource_arn, resource_tag_confidentiality, row_count, principal_count
FROM ranked
WHERE place <= $limit
ORDER BY place, customer_id, account_id, resource_arn;
