//! Real forms of calls and what AWS's documentation says that they need. One line a case:
//! event source, call, request parameters, then `action resource …` of each action, parted by `;`.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use kennel_policy::{Call, Outcome, map};
use serde_json::{Value, json};

const S3: &str = r#"
s3 GetObject {"bucketName":"b","key":"k"} => s3:GetObject arn:aws:s3:::b/k
s3 GetObject {"bucketName":"b","key":"k","versionId":"v"} => s3:GetObjectVersion arn:aws:s3:::b/k
s3 HeadObject {"bucketName":"b","key":"a/b c"} => s3:GetObject arn:aws:s3:::b/a/b c
s3 HeadBucket {"bucketName":"b"} => s3:ListBucket arn:aws:s3:::b
s3 ListObjects {"bucketName":"b","prefix":"x/"} => s3:ListBucket arn:aws:s3:::b
s3 ListObjectVersions {"bucketName":"b"} => s3:ListBucketVersions arn:aws:s3:::b
s3 ListBuckets {"Host":"s3.amazonaws.com"} => s3:ListAllMyBuckets *
s3 DeleteObjects {"bucketName":"b"} => s3:DeleteObject arn:aws:s3:::b/*
s3 CopyObject {"bucketName":"t","key":"k","x-amz-copy-source":"/s/a%20b"} => s3:PutObject arn:aws:s3:::t/k; s3:GetObject arn:aws:s3:::s/a b
s3 UploadPartCopy {"bucketName":"t","key":"k","x-amz-copy-source":"s/k?versionId=1"} => s3:PutObject arn:aws:s3:::t/k; s3:GetObjectVersion arn:aws:s3:::s/k
s3 PutObject {"bucketName":"b","key":"k","x-amz-acl":"public-read"} => s3:PutObject arn:aws:s3:::b/k; s3:PutObjectAcl arn:aws:s3:::b/k
s3 CompleteMultipartUpload {"bucketName":"b","key":"k","uploadId":"u"} => s3:PutObject arn:aws:s3:::b/k
s3 ListParts {"bucketName":"b","key":"k"} => s3:ListMultipartUploadParts arn:aws:s3:::b/k
s3 PutBucketReplication {"bucketName":"b","ReplicationConfiguration":{"Role":"arn:aws:iam::111122223333:role/r"}} => s3:PutReplicationConfiguration arn:aws:s3:::b; iam:PassRole arn:aws:iam::111122223333:role/r
s3 DeleteBucketReplication {"bucketName":"b"} => s3:PutReplicationConfiguration arn:aws:s3:::b
s3 DeleteBucketCors {"bucketName":"b"} => s3:PutBucketCORS arn:aws:s3:::b
s3 PutBucketPublicAccessBlock {"bucketName":"b"} => s3:PutBucketPublicAccessBlock arn:aws:s3:::b
s3 DeleteBucketOwnershipControls {"bucketName":"b"} => s3:PutBucketOwnershipControls arn:aws:s3:::b
s3 GetBucketEncryption {"bucketName":"b"} => s3:GetEncryptionConfiguration arn:aws:s3:::b
s3 GetObject {"bucketName":"arn:aws:s3:us-east-1:111122223333:accesspoint/ap","key":"k"} => s3:GetObject arn:aws:s3:us-east-1:111122223333:accesspoint/ap/object/k
s3express CreateSession {"bucketName":"b--use1-az4--x-s3"} => s3express:CreateSession arn:aws:s3express:us-east-1:111122223333:bucket/b--use1-az4--x-s3
"#;

const OTHERS: &str = r#"
kms ReEncrypt {"sourceKeyId":"arn:aws:kms:us-east-1:111122223333:key/a","destinationKeyId":"arn:aws:kms:us-east-1:111122223333:key/b"} => kms:ReEncryptFrom arn:aws:kms:us-east-1:111122223333:key/a; kms:ReEncryptTo arn:aws:kms:us-east-1:111122223333:key/b
kms Decrypt {"keyId":"alias/x"} => kms:Decrypt arn:aws:kms:us-east-1:111122223333:key/*
lambda Invoke {"functionName":"f"} => lambda:InvokeFunction arn:aws:lambda:us-east-1:111122223333:function:f
lambda Invoke {"functionName":"111122223333:function:f","qualifier":"live"} => lambda:InvokeFunction arn:aws:lambda:us-east-1:111122223333:function:f:live
lambda ListFunctions20150331 null => lambda:ListFunctions *
lambda UpdateFunctionCode20150331v2 {"functionName":"f"} => lambda:UpdateFunctionCode arn:aws:lambda:us-east-1:111122223333:function:f
lambda CreateFunction20150331 {"functionName":"f","role":"arn:aws:iam::111122223333:role/r"} => lambda:CreateFunction arn:aws:lambda:us-east-1:111122223333:function:f; iam:PassRole arn:aws:iam::111122223333:role/r
cloudfront CreateInvalidation2020_05_31 {"distributionId":"E1"} => cloudfront:CreateInvalidation arn:aws:cloudfront::111122223333:distribution/E1
dynamodb BatchGetItem {"requestItems":{"a":{},"b":{}}} => dynamodb:BatchGetItem arn:aws:dynamodb:us-east-1:111122223333:table/a arn:aws:dynamodb:us-east-1:111122223333:table/b
dynamodb TransactWriteItems {"transactItems":[{"put":{"tableName":"a"}},{"delete":{"tableName":"b"}}]} => dynamodb:PutItem arn:aws:dynamodb:us-east-1:111122223333:table/a; dynamodb:DeleteItem arn:aws:dynamodb:us-east-1:111122223333:table/b
dynamodb ExecuteStatement {"statement":"SELECT * FROM \"Music\" WHERE x=1"} => dynamodb:PartiQLSelect arn:aws:dynamodb:us-east-1:111122223333:table/Music
dynamodb Query {"tableName":"t","indexName":"i"} => dynamodb:Query arn:aws:dynamodb:us-east-1:111122223333:table/t arn:aws:dynamodb:us-east-1:111122223333:table/t/index/i
sqs SendMessageBatch {"queueUrl":"https://sqs.us-east-1.amazonaws.com/111122223333/q"} => sqs:SendMessage arn:aws:sqs:us-east-1:111122223333:q
sqs ReceiveMessage {"queueUrl":"https://sqs.us-east-1.amazonaws.com/123456789012/q"} => sqs:ReceiveMessage arn:aws:sqs:us-east-1:123456789012:q
sns PublishBatch {"topicArn":"arn:aws:sns:us-east-1:111122223333:t"} => sns:Publish arn:aws:sns:us-east-1:111122223333:t
sns Publish {"phoneNumber":"+1"} => sns:Publish *
monitoring PutMetricData {"namespace":"n"} => cloudwatch:PutMetricData *
autoscaling RegisterScalableTarget {"serviceNamespace":"ecs"} => application-autoscaling:RegisterScalableTarget arn:aws:application-autoscaling:us-east-1:111122223333:scalable-target/*
tagging GetResources {} => tag:GetResources *
servicecatalog-appregistry ListApplications {} => servicecatalog:ListApplications *
rdsdata ExecuteStatement {"resourceArn":"arn:aws:rds:us-east-1:111122223333:cluster:c"} => rds-data:ExecuteStatement arn:aws:rds:us-east-1:111122223333:cluster:c
budgets DescribeBudgets {} => budgets:ViewBudget arn:aws:budgets::111122223333:budget/*
kafka DescribeClusterV2 {"clusterArn":"arn:aws:kafka:us-east-1:111122223333:cluster/c/u"} => kafka:DescribeClusterV2 arn:aws:kafka:us-east-1:111122223333:cluster/c/u
rds RestoreDBInstanceFromS3 {"dBInstanceIdentifier":"d"} => rds:RestoreDBInstanceFromS3 arn:aws:rds:us-east-1:111122223333:db:d arn:aws:rds:us-east-1:111122223333:og:* arn:aws:rds:us-east-1:111122223333:pg:* arn:aws:rds:us-east-1:111122223333:subgrp:*
apigateway GetRestApi {"restApiId":"a1"} => apigateway:GET arn:aws:apigateway:us-east-1::/restapis/a1
apigateway CreateDeployment {"restApiId":"a1"} => apigateway:POST arn:aws:apigateway:us-east-1::/restapis/a1/deployments
apigateway CreateDeployment {"apiId":"a2"} => apigateway:POST arn:aws:apigateway:us-east-1::/v2/apis/a2/deployments
iam CreateRole {"roleName":"r","path":"/app/","tags":[{"key":"a","value":"b"}]} => iam:CreateRole arn:aws:iam::111122223333:role/app/r; iam:TagRole arn:aws:iam::111122223333:role/app/r
iam AttachRolePolicy {"roleName":"r","policyArn":"arn:aws:iam::aws:policy/ReadOnlyAccess"} => iam:AttachRolePolicy arn:aws:iam::111122223333:role/r
iam AddRoleToInstanceProfile {"instanceProfileName":"p","roleName":"r"} => iam:AddRoleToInstanceProfile arn:aws:iam::111122223333:instance-profile/p; iam:PassRole arn:aws:iam::111122223333:role/r
sts AssumeRole {"roleArn":"arn:aws:iam::123456789012:role/r","sourceIdentity":"a"} => sts:AssumeRole arn:aws:iam::123456789012:role/r; sts:SetSourceIdentity arn:aws:iam::123456789012:role/r
ec2 StartInstances {"instancesSet":{"items":[{"instanceId":"i-1"},{"instanceId":"i-2"}]}} => ec2:StartInstances arn:aws:ec2:us-east-1:111122223333:instance/i-1 arn:aws:ec2:us-east-1:111122223333:instance/i-2
ec2 DeleteNatGateway {"DeleteNatGatewayRequest":{"NatGatewayId":{"tag":1,"content":"nat-1"}}} => ec2:DeleteNatGateway arn:aws:ec2:us-east-1:111122223333:natgateway/nat-1
ec2 CreateTags {"resourcesSet":{"items":[{"resourceId":"ami-1"}]},"tagSet":{"items":[{"key":"a"}]}} => ec2:CreateTags arn:aws:ec2:us-east-1::image/ami-1
ec2 CreateVpc {"cidrBlock":"10.0.0.0/16","tagSpecificationSet":{"items":[{"resourceType":"vpc","tags":[{"key":"a"}]}]}} => ec2:CreateVpc arn:aws:ec2:us-east-1:111122223333:vpc/*; ec2:CreateTags arn:aws:ec2:us-east-1:111122223333:vpc/*
ssm GetParameters {"names":["/a/b","c"]} => ssm:GetParameters arn:aws:ssm:us-east-1:111122223333:parameter/a/b arn:aws:ssm:us-east-1:111122223333:parameter/c
ssm ListTagsForResource {"resourceType":"Parameter","resourceId":"/a/b"} => ssm:ListTagsForResource arn:aws:ssm:us-east-1:111122223333:parameter/a/b
secretsmanager GetSecretValue {"secretId":"db"} => secretsmanager:GetSecretValue arn:aws:secretsmanager:us-east-1:111122223333:secret:db-??????
events PutTargets {"rule":"r","targets":[]} => events:PutTargets arn:aws:events:us-east-1:111122223333:rule/r
events PutTargets {"rule":"r","eventBusName":"bus"} => events:PutTargets arn:aws:events:us-east-1:111122223333:rule/bus/r
bedrock Converse {"modelId":"anthropic.claude-v2"} => bedrock:InvokeModel arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2
glue GetUnfilteredTableMetadata {"databaseName":"d","name":"t"} => glue:GetTable arn:aws:glue:us-east-1:111122223333:catalog arn:aws:glue:us-east-1:111122223333:database/d arn:aws:glue:us-east-1:111122223333:table/d/t
verifiedpermissions BatchIsAuthorized {"policyStoreId":"p"} => verifiedpermissions:IsAuthorized arn:aws:verifiedpermissions::111122223333:policy-store/p
"#;

const DATA: &str = include_str!("calls/data.txt");
const CONTROL: &str = include_str!("calls/control.txt");

/// `~sqs:q` and `~~iam:role/r` as whole ARNs.
fn written_out(expected: &str) -> String {
    let words = expected.split(' ').map(|word| {
        if let Some(rest) = word.strip_prefix("~~") {
            let (service, rest) = rest.split_once(':').unwrap();
            format!("arn:aws:{service}::111122223333:{rest}")
        } else if let Some(rest) = word.strip_prefix('~') {
            let (service, rest) = rest.split_once(':').unwrap();
            format!("arn:aws:{service}:us-east-1:111122223333:{rest}")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `action resource resource; action …` as the mapping says it.
fn needed(source: &str, name: &str, request: Value) -> String {
    let call = Call::from_record(&json!({
        "eventSource": format!("{source}.amazonaws.com"), "eventName": name, "awsRegion": "us-east-1",
        "recipientAccountId": "111122223333", "requestParameters": request, "eventType": "AwsApiCall",
        "userIdentity": {"type": "AssumedRole", "accountId": "111122223333"},
    }));
    let mapping = map(&call);
    match &mapping.outcome {
        Outcome::Needs(grants) => {
            let grant = |grant: &kennel_policy::Grant| {
                let arns: Vec<&str> = grant
                    .resources
                    .iter()
                    .map(|resource| resource.arn.as_str())
                    .collect();
                format!("{} {}", grant.action.id(), arns.join(" "))
            };
            grants.iter().map(grant).collect::<Vec<_>>().join("; ")
        }
        Outcome::Nothing(_) => "nothing".into(),
        Outcome::Unmapped(_) => "unmapped".into(),
    }
}

#[test]
fn calls_need_what_their_documentation_says() {
    let mut wrong = Vec::new();
    for case in S3
        .lines()
        .chain(OTHERS.lines())
        .chain(DATA.lines())
        .chain(CONTROL.lines())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (call, expected) = case.split_once(" => ").unwrap();
        let expected = written_out(expected);
        let mut words = call.splitn(3, ' ');
        let (source, name) = (words.next().unwrap(), words.next().unwrap());
        let request = serde_json::from_str(words.next().unwrap()).unwrap();
        let found = needed(source, name, request);
        if found != expected {
            wrong.push(format!(
                "{source} {name}\n  is       {found}\n  expected {expected}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn calls_that_need_no_permission_and_notices_of_services_are_no_actions() {
    for (source, name) in [
        ("sts", "GetCallerIdentity"),
        ("sts", "GetSessionToken"),
        ("signin", "ConsoleLogin"),
        ("signin", "CheckMfa"),
        ("secretsmanager", "StartSecretVersionDelete"),
        ("secretsmanager", "EndSecretVersionDelete"),
        ("ec2", "SharedSnapshotVolumeCreated"),
        ("s3", "GetStorageLensDashboardDataInternal"),
        ("sso", "Authenticate"),
    ] {
        assert_eq!(
            needed(source, name, Value::Null),
            "nothing",
            "{source} {name}"
        );
    }
    let notice = Call::from_record(
        &json!({"eventSource": "kms.amazonaws.com", "eventName": "SynchronizeMultiRegionKey", "eventType": "AwsServiceEvent"}),
    );
    assert!(matches!(map(&notice).outcome, Outcome::Nothing(_)));
}

#[test]
fn what_nobody_knows_is_unmapped_with_what_looks_alike() {
    for (source, name) in [
        ("s3", "FrobnicateObject"),
        ("unheard-of", "GetThing"),
        ("lambda", "20150331"),
        ("dynamodb", "ExecuteStatement"),
        ("", ""),
        ("s3", "GetObject\u{1b}[31m"),
    ] {
        assert_eq!(
            needed(source, name, Value::Null),
            "unmapped",
            "{source} {name}"
        );
    }
    let call = Call::from_record(
        &json!({"eventSource": "ec2.amazonaws.com", "eventName": "FrobnicateInstances"}),
    );
    assert!(
        map(&call)
            .alternatives
            .contains(&"ec2:StartInstances".to_owned())
            || !map(&call).alternatives.is_empty()
    );
}

#[test]
fn what_the_record_names_goes_before_what_the_parameters_name() {
    let call = Call::from_record(&json!({
        "eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
        "requestParameters": {"keyId": "alias/x"},
        "resources": [{"ARN": "arn:aws:kms:eu-west-1:123456789012:key/k", "accountId": "123456789012"}],
    }));
    let mapping = map(&call);
    assert_eq!(
        mapping.grants()[0].resources[0].arn,
        "arn:aws:kms:eu-west-1:123456789012:key/k"
    );
    let list = Call::from_record(&json!({
        "eventSource": "s3.amazonaws.com", "eventName": "DeleteObjects", "requestParameters": {},
        "resources": [{"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::b/"}, {"ARN": "arn:aws:s3:::b"}],
    }));
    assert_eq!(map(&list).grants()[0].resources[0].arn, "arn:aws:s3:::b/*");
}

#[test]
fn the_source_of_a_copy_is_not_written_and_who_names_nobody_means_itself() {
    let copy = Call::from_record(&json!({
        "eventSource": "s3.amazonaws.com", "eventName": "CopyObject",
        "requestParameters": {"bucketName": "t", "key": "k", "x-amz-copy-source": "s/k"},
        "resources": [
            {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::s/k"}, {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::s"},
            {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::t/k"}, {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::t"},
        ],
    }));
    let mapping = map(&copy);
    let of = |nth: usize| {
        let grant = &mapping.grants()[nth];
        let arns: Vec<_> = grant.resources.iter().map(|r| r.arn.as_str()).collect();
        format!("{} {}", grant.action.id(), arns.join(" "))
    };
    assert_eq!(of(0), "s3:PutObject arn:aws:s3:::t/k");
    assert_eq!(of(1), "s3:GetObject arn:aws:s3:::s/k");
    let own = Call::from_record(&json!({
        "eventSource": "iam.amazonaws.com", "eventName": "ListMFADevices", "recipientAccountId": "111122223333",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/team/alice"},
    }));
    assert_eq!(
        map(&own).grants()[0].resources[0].arn,
        "arn:aws:iam::111122223333:user/team/alice"
    );
}

#[test]
fn records_of_any_shape_are_mapped_without_panic() {
    for request in [
        json!([]),
        json!("text"),
        json!(3),
        json!({"bucketName": []}),
        json!({"key": {"a": {"b": null}}}),
        json!({"bucketName": "", "key": ""}),
        json!({"functionName": ":::", "qualifier": ":"}),
        json!({"queueUrl": "://"}),
        json!({"keyId": "arn:"}),
        json!({"x-amz-copy-source": "%"}),
        json!({"statement": "select from"}),
        json!({"modelId": "us."}),
        json!({"bucketName": "é", "key": "\u{0}"}),
    ] {
        for (source, name) in [
            ("s3", "CopyObject"),
            ("lambda", "Invoke"),
            ("sqs", "SendMessage"),
            ("kms", "Decrypt"),
            ("dynamodb", "ExecuteStatement"),
            ("bedrock", "InvokeModel"),
            ("apigateway", "GetRestApi"),
            ("ec2", "CreateTags"),
            ("iam", "CreateRole"),
        ] {
            needed(source, name, request.clone());
        }
    }
}
