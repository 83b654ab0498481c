-- `cloudtrail.events` over `cloudtrail_logs`, for Athena: typed, in snake_case, each event once. In kennel the table is
-- built in; `kennel ddl` prints this view, so that the same questions run in Athena.
SELECT
  event_time, event_id, event_source, service, event_name, event_type, event_category, account_id, region, read_only,
  is_error, is_denied, error_code, error_message, principal_type, principal_arn,
  coalesce(
    issuer_name,
    user_name,
    nullif(reverse(split_part(translate(reverse(principal_arn), ':', '/'), '/', 1)), ''),
    CASE WHEN principal_type = 'AWSService' THEN invoked_by END
  ) AS principal_name,
  coalesce(issuer_account, identity_account, nullif(split_part(principal_arn, ':', 5), '')) AS principal_account_id,
  session_name, access_key_id, identity_center_user_id, source_identity, invoked_by, mfa_authenticated,
  source_ip_address, user_agent, request_parameters, response_elements, additional_event_data, resources, request_id,
  shared_event_id, vpc_endpoint_id, tls_version, object_key, record_index
FROM (
  SELECT
    try(from_iso8601_timestamp(eventtime)) AS event_time,
    eventid AS event_id,
    eventsource AS event_source,
    nullif(split_part(eventsource, '.amazonaws.com', 1), '') AS service,
    eventname AS event_name,
    eventtype AS event_type,
    coalesce(
      nullif(eventcategory, ''),
      CASE WHEN managementevent = 'true' THEN 'Management' WHEN managementevent = 'false' THEN 'Data' END,
      CASE
        WHEN TRY_CAST(regexp_extract(eventversion, '^1\.([0-9]+)$', 1) AS integer) >= 7 THEN CAST(NULL AS varchar)
        WHEN eventversion IS NULL OR eventsource IS NULL OR eventname IS NULL THEN CAST(NULL AS varchar)
        WHEN eventsource = 's3.amazonaws.com' AND eventname IN (
          'AbortMultipartUpload', 'CompleteMultipartUpload', 'CopyObject', 'CreateMultipartUpload', 'DeleteObject',
          'DeleteObjectTagging', 'DeleteObjects', 'GetObject', 'GetObjectAcl', 'GetObjectAttributes',
          'GetObjectLegalHold', 'GetObjectRetention', 'GetObjectTagging', 'GetObjectTorrent', 'HeadBucket',
          'HeadObject', 'InitiateMultipartUpload', 'ListMultipartUploads', 'ListObjectVersions', 'ListObjects',
          'ListParts', 'OptionsObject', 'PostObject', 'PutObject', 'PutObjectAcl', 'PutObjectLegalHold',
          'PutObjectRetention', 'PutObjectTagging', 'RestoreObject', 'SelectObjectContent', 'UploadPart',
          'UploadPartCopy') THEN 'Data'
        WHEN eventsource = 's3.amazonaws.com' AND (eventname LIKE '%Object%' OR eventname LIKE '%Part%')
          THEN CAST(NULL AS varchar)
        WHEN eventsource = 'lambda.amazonaws.com' AND eventname LIKE 'Invoke%' THEN 'Data'
        ELSE 'Management'
      END
    ) AS event_category,
    coalesce(nullif(recipientaccountid, ''), account) AS account_id,
    awsregion AS region,
    TRY_CAST(readonly AS boolean) AS read_only,
    coalesce(nullif(errorcode, '') <> '200', false)
      OR coalesce(errormessage, '') <> ''
      OR (coalesce(eventname, '') = 'ConsoleLogin'
          AND coalesce(lower(json_extract_scalar(responseelements, '$.ConsoleLogin')), '') = 'failure') AS is_error,
    coalesce(
      lower(errorcode) LIKE '%accessdenied%'
      OR lower(errorcode) LIKE '%unauthorized%'
      OR regexp_like(errorcode, '(?i:(^|[.:#])NotAuthorized$)')
      OR regexp_like(errorcode, '(^|[.:#])(AuthorizationError|Forbidden)[^.:#]*$'),
      false
    ) AS is_denied,
    errorcode AS error_code,
    errormessage AS error_message,
    coalesce(
      nullif(useridentity.type, ''),
      CASE WHEN useridentity.invokedby <> '' THEN 'AWSService' END
    ) AS principal_type,
    coalesce(
      nullif(useridentity.sessioncontext.sessionissuer.arn, ''),
      CASE
        WHEN useridentity.arn NOT LIKE 'arn:%:sts:%:assumed-role/%' THEN nullif(useridentity.arn, '')
        WHEN useridentity.arn LIKE '%:assumed-role/AWSReservedSSO\_%' ESCAPE '\' THEN CAST(NULL AS varchar)
        WHEN useridentity.arn LIKE '%:assumed-role/AWSServiceRoleFor%' THEN CAST(NULL AS varchar)
        ELSE concat('arn:', split_part(useridentity.arn, ':', 2), ':iam::', split_part(useridentity.arn, ':', 5),
                    ':role/', split_part(useridentity.arn, '/', 2))
      END
    ) AS principal_arn,
    nullif(useridentity.sessioncontext.sessionissuer.username, '') AS issuer_name,
    nullif(useridentity.username, '') AS user_name,
    nullif(useridentity.sessioncontext.sessionissuer.accountid, '') AS issuer_account,
    nullif(useridentity.accountid, '') AS identity_account,
    nullif(CASE
      WHEN useridentity.arn LIKE 'arn:%:assumed-role/%'
        THEN regexp_extract(useridentity.arn, ':assumed-role/[^/]*/(.*)$', 1)
      WHEN useridentity.arn LIKE 'arn:%:federated-user/%'
        THEN regexp_extract(useridentity.arn, ':federated-user/(.*)$', 1)
      WHEN useridentity.principalid LIKE 'AROA%'
        THEN regexp_extract(useridentity.principalid, '^[^:]*:(.*)$', 1)
    END, '') AS session_name,
    nullif(useridentity.accesskeyid, '') AS access_key_id,
    nullif(useridentity.onbehalfof.userid, '') AS identity_center_user_id,
    nullif(useridentity.sessioncontext.sourceidentity, '') AS source_identity,
    nullif(useridentity.invokedby, '') AS invoked_by,
    CASE lower(coalesce(
      nullif(useridentity.sessioncontext.attributes.mfaauthenticated, ''),
      CASE WHEN eventname = 'ConsoleLogin' THEN json_extract_scalar(additionaleventdata, '$.MFAUsed') END
    ))
      WHEN 'true' THEN true WHEN 'yes' THEN true WHEN 'false' THEN false WHEN 'no' THEN false
    END AS mfa_authenticated,
    sourceipaddress AS source_ip_address,
    useragent AS user_agent,
    requestparameters AS request_parameters,
    responseelements AS response_elements,
    additionaleventdata AS additional_event_data,
    resources,
    requestid AS request_id,
    sharedeventid AS shared_event_id,
    vpcendpointid AS vpc_endpoint_id,
    CASE
      WHEN regexp_like(tlsdetails.tlsversion, '^[0-9]') THEN concat('TLSv', tlsdetails.tlsversion)
      ELSE nullif(tlsdetails.tlsversion, '')
    END AS tls_version,
    regexp_replace(object_path, '^s3://[^/]+/', '') AS object_key,
    CAST(NULL AS bigint) AS record_index,
    row_number() OVER (
      PARTITION BY eventid, recipientaccountid
      ORDER BY object_path
    ) AS copy_number
  FROM (
    SELECT
      account, additionaleventdata, awsregion, errorcode, errormessage, eventcategory, eventid, eventname, eventsource,
      eventtime, eventtype, eventversion, managementevent, readonly, recipientaccountid, requestid, requestparameters,
      resources, responseelements, sharedeventid, sourceipaddress, tlsdetails, useragent, useridentity, vpcendpointid,
      "$path" AS object_path
    FROM cloudtrail.cloudtrail_logs
  )
)
WHERE copy_number = 1 OR event_id IS NULL
