-- +++
-- title  = "Principals with more access than the limits allow"
-- reads  = ["k9.principal_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "principal_arn", "service_name"]
-- audit  = { severity = "medium" }
-- tags   = ["nightly", "access"]
-- source = "k9 docs, AWS Athena Integration, principals with excessive access; k9-cli, query risks over-permissioned-principals"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.services]
-- type = "text[]"
-- help = "judge these services only, as k9 writes them"
-- [params.pool]
-- type = "boolean"
-- default = false
-- help = "add the chosen services up instead of judging each alone"
-- [params.max_administer]
-- type = "integer"
-- default = 5
-- help = "rows with administer-resource allowed"
-- [params.max_read]
-- type = "integer"
-- default = 5
-- help = "rows with read-data allowed"
-- [params.max_write]
-- type = "integer"
-- default = 5
-- help = "rows with write-data allowed"
-- [params.max_delete]
-- type = "integer"
-- default = 5
-- help = "rows with delete-data allowed"
-- +++
-- One row per principal and service where the access rows of a capability are strictly more than max_administer,
-- max_read, max_write or max_delete.
--
-- The limits look at rows (the *_row_count columns), as k9's own command line does: the row for the service in
-- general (blank resource_arn) counts as one. The *_resource_count columns count distinct resource ARNs without
-- it. use-resource and read-config are not counted. Each service is judged alone; with pool = true the rows of all
-- chosen services are added up as k9's command line does, and service_name reads 'all'.
--
-- Administrators and deployment roles are expected here: the limits are a starting point, not a standard.
WITH rights AS (
  -- Each resource once, then per principal: four distinct counts at once cost more.
  SELECT
    customer_id, account_id, principal_arn,
    CASE WHEN $pool THEN 'all' ELSE service_name END AS judged_service,
    access_capability, resource_arn,
    max(principal_name) AS principal_name, max(principal_type) AS principal_type, count(*) AS row_count
  FROM k9.principal_access_summaries_latest
  WHERE access_capability IN ('administer-resource', 'read-data', 'write-data', 'delete-data')
    AND ($services IS NULL OR array_has($services, service_name))
    AND ($customer_id IS NULL OR customer_id = $customer_id)
    AND ($account_id IS NULL OR account_id = $account_id)
  GROUP BY
    customer_id, account_id, principal_arn,
    CASE WHEN $pool THEN 'all' ELSE service_name END,
    access_capability, resource_arn
),
counted AS (
  SELECT
    customer_id, account_id, max(principal_name) AS principal_name, principal_arn,
    max(principal_type) AS principal_type, judged_service,
    coalesce(sum(row_count) FILTER (WHERE access_capability = 'administer-resource'), 0) AS administer_row_count,
    coalesce(sum(row_count) FILTER (WHERE access_capability = 'read-data'), 0) AS read_row_count,
    coalesce(sum(row_count) FILTER (WHERE access_capability = 'write-data'), 0) AS write_row_count,
    coalesce(sum(row_count) FILTER (WHERE access_capability = 'delete-data'), 0) AS delete_row_count,
    count(resource_arn) FILTER (WHERE access_capability = 'administer-resource') AS administer_resource_count,
    count(resource_arn) FILTER (WHERE access_capability = 'read-data') AS read_resource_count,
    count(resource_arn) FILTER (WHERE access_capability = 'write-data') AS write_resource_count,
    count(resource_arn) FILTER (WHERE access_capability = 'delete-data') AS delete_resource_count
  FROM rights
  GROUP BY customer_id, account_id, principal_arn, judged_service
)
SELECT
  customer_id, account_id, principal_name, principal_arn, principal_type, judged_service AS service_name,
  administer_row_count, read_row_count, write_row_count, delete_row_count,
  administer_resource_count, read_resource_count, write_resource_count, delete_resource_count
FROM counted
WHERE administer_row_count > $max_administer
   OR read_row_count > $max_read
   OR write_row_count > $max_write
   OR delete_row_count > $max_delete
ORDER BY customer_id, account_id, principal_arn, service_name;
