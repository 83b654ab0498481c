-- +++
-- title  = "Principals that reach an IAM administrator through roles"
-- reads  = ["k9.principal_access_summaries_latest", "k9.resource_access_summaries_latest"]
-- key    = ["customer_id", "account_id", "principal_arn", "admin_role_arn"]
-- audit  = { severity = "high" }
-- tags   = ["nightly", "iam", "roles"]
-- source = "k9 docs, generate-resource-access-paths"
-- accounts = "result"
-- [params.customer_id]
-- type = "text"
-- help = "limit to one k9 customer"
-- [params.account_id]
-- type = "text"
-- help = "limit to one AWS account"
-- [params.include_direct]
-- type = "boolean"
-- default = false
-- help = "also list principals that are IAM administrators themselves"
-- +++
-- One row per principal and IAM administrator role that it reaches by assuming one role after another, over all
-- mirrored accounts.
--
-- A step is a use-resource right on STS with the role's ARN, from the principal access summaries or the resource
-- access summaries of any account. An administrator role is one with administer-resource on IAM, in general (blank
-- resource_arn) or on single resources. is_one_step tells the roles that the principal may assume directly.
-- Principals that are administrators themselves are left out unless include_direct is true: see k9/iam-admins.
-- Trust in a circle ends, and the work grows with principals times administrator roles, not with paths.
--
-- The account of a row is the principal's, taken from its ARN, else the report's, and so is the customer where
-- that account is mirrored; customer and account limit the rows, not the paths. STS rights on every role (service-
-- level, blank resource_arn) are no step. Trust in a whole account counts only where k9 lists the principals.
-- Roles whose account is not mirrored are dead ends, so an empty answer is only as good as the mirror is wide.
-- Deployment users that may assume the deployment role are expected rows.
WITH RECURSIVE steps AS (
  SELECT customer_id, account_id, principal_name, principal_arn, principal_type, resource_arn AS role_arn
  FROM k9.principal_access_summaries_latest
  WHERE service_name = 'STS' AND access_capability = 'use-resource' AND resource_arn IS NOT NULL
  UNION ALL
  SELECT customer_id, account_id, principal_name, principal_arn, principal_type, resource_arn AS role_arn
  FROM k9.resource_access_summaries_latest
  WHERE service_name = 'STS' AND access_capability = 'use-resource' AND resource_arn IS NOT NULL
),
edges AS (
  SELECT DISTINCT principal_arn, role_arn
  FROM steps
),
admins AS (
  SELECT DISTINCT principal_arn
  FROM k9.principal_access_summaries_latest
  WHERE service_name = 'IAM' AND access_capability = 'administer-resource'
),
reaches AS (
  SELECT edges.principal_arn, edges.role_arn AS admin_role_arn
  FROM edges
  JOIN admins ON admins.principal_arn = edges.role_arn
  UNION
  SELECT edges.principal_arn, reaches.admin_role_arn
  FROM reaches
  JOIN edges ON edges.role_arn = reaches.principal_arn
),
mentions AS (
  SELECT customer_id, account_id, principal_name, principal_arn, principal_type
  FROM steps
  UNION ALL
  SELECT customer_id, account_id, principal_name, principal_arn, principal_type
  FROM k9.principal_access_summaries_latest
),
principals AS (
  SELECT
    principal_arn,
    -- Its own account's report knows a principal's customer; another account's only knows who trusts it.
    coalesce(
      min(CASE WHEN account_id = split_part(principal_arn, ':', 5) THEN customer_id END),
      min(customer_id)
    ) AS customer_id,
    coalesce(nullif(split_part(principal_arn, ':', 5), ''), min(account_id)) AS account_id,
    max(principal_name) AS principal_name,
    max(principal_type) AS principal_type
  FROM mentions
  GROUP BY principal_arn
)
SELECT
  principals.customer_id,
  principals.account_id,
  principals.principal_name,
  reaches.principal_arn,
  principals.principal_type,
  reaches.admin_role_arn,
  edges.role_arn IS NOT NULL AS is_one_step
FROM reaches
JOIN principals ON principals.principal_arn = reaches.principal_arn
LEFT JOIN edges
  ON edges.principal_arn = reaches.principal_arn AND edges.role_arn = reaches.admin_role_arn
LEFT JOIN admins ON admins.principal_arn = reaches.principal_arn
WHERE reaches.principal_arn <> reaches.admin_role_arn
  AND ($include_direct OR admins.principal_arn IS NULL)
  AND ($customer_id IS NULL OR principals.customer_id = $customer_id)
  AND ($account_id IS NULL OR principals.account_id = $account_id)
ORDER BY principals.customer_id, principals.account_id, reaches.principal_arn, reaches.admin_role_arn;
