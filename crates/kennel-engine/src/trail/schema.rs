//! The one physical schema of CloudTrail table files, and which field of a record fills which column.
//!
//! All four kinds of records (management and data events, Insights, network activity, aggregated) have
//! this schema. Its columns, in order:
//!
//! 1. [`RECORD`]: AWS's documented Athena columns, types and order (`cloudtrail_logs_pp`, text everything),
//!    then `managementevent`, `insightdetails`, `eventcontext`. Fields that Athena's structs lack stand at the
//!    end of their struct.
//! 2. `extra`: the fields that are not known, as one JSON object in the shape of the record (an unknown
//!    field of `userIdentity` lies under `userIdentity`; an element of `resources` without any is `{}`);
//!    null when all are known.
//! 3. [`PARTITION_COLUMNS`]: text from the object's key, so it is the account, region and day of delivery.
//! 4. [`TYPED_COLUMNS`]: what `cloudtrail.events` needs in types of its own and with statistics.
//!
//! `cloudtrail.events` takes from the typed columns `event_time`, `event_category`, `account_id`, `service`,
//! `is_error`, `is_denied`, all of `principal_*`, `session_name`, `access_key_id`, `identity_center_user_id`,
//! `source_identity`, `invoked_by`, `mfa_authenticated`, `tls_version`, `object_key`, `record_index`, and filters on
//! `is_duplicate`. The rest are columns of (1) under other names: `event_id` = `eventid`, `event_source`,
//! `event_name`, `event_type`, `region` = `awsregion` (`region` is the folder's), `read_only` =
//! `readonly = 'true'`, `error_code`, `error_message`, `source_ip_address` = `sourceipaddress`, `user_agent`,
//! `request_parameters`, `response_elements`, `additional_event_data`, `resources`, `request_id`,
//! `shared_event_id`, `vpc_endpoint_id`.
//!
//! Source: CloudTrail user guide, "CloudTrail record contents" and "userIdentity element"; Athena user guide,
//! "Create a table for CloudTrail logs in Athena using partition projection".

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::decode::Opening;

/// A place for one known field of a record. Numbers are depth-first over [`RECORD`], so that a struct and
/// all that lies below it is one range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is named after its field")]
pub enum Slot {
    EventVersion,
    UserIdentity,
    IdentityType,
    PrincipalId,
    Arn,
    AccountId,
    InvokedBy,
    AccessKeyId,
    UserName,
    OnBehalfOf,
    OnBehalfOfUserId,
    IdentityStoreArn,
    SessionContext,
    SessionAttributes,
    MfaAuthenticated,
    CreationDate,
    SessionIssuer,
    IssuerType,
    IssuerPrincipalId,
    IssuerArn,
    IssuerAccountId,
    IssuerUserName,
    Ec2RoleDelivery,
    WebIdFederationData,
    FederatedProvider,
    FederationAttributes,
    SourceIdentity,
    AssumedRoot,
    CredentialId,
    InScopeOf,
    InvokedByDelegate,
    IdentityProvider,
    EventTime,
    EventSource,
    EventName,
    AwsRegion,
    SourceIpAddress,
    UserAgent,
    ErrorCode,
    ErrorMessage,
    RequestParameters,
    ResponseElements,
    AdditionalEventData,
    RequestId,
    EventId,
    ReadOnly,
    Resources,
    ResourceArn,
    ResourceAccountId,
    ResourceType,
    ResourceArnPrefix,
    EventType,
    ApiVersion,
    RecipientAccountId,
    ServiceEventDetails,
    SharedEventId,
    VpcEndpointId,
    VpcEndpointAccountId,
    EventCategory,
    Addendum,
    AddendumReason,
    UpdatedFields,
    OriginalRequestId,
    OriginalEventId,
    SessionCredentialFromConsole,
    EdgeDeviceDetails,
    TlsDetails,
    TlsVersion,
    CipherSuite,
    ClientProvidedHostHeader,
    KeyExchange,
    ManagementEvent,
    InsightDetails,
    EventContext,
}

impl Slot {
    /// How many there are.
    pub const COUNT: usize = Self::EventContext as usize + 1;

    /// Its number.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// How the value of a known field becomes a column.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// `Utf8`: a string's text; the text of a boolean or number as written; an object or a list as compact JSON.
    Text,
    /// `Utf8`: compact JSON with the key order and the numbers as written; a string keeps its quotes.
    Json,
    /// `Struct`: null when the object is absent, a struct of nulls when it is empty.
    Object(&'static [KnownField]),
    /// `Map<Utf8, Utf8>`.
    TextMap,
    /// `List<Struct>`.
    Objects(&'static [KnownField]),
}

/// A field that AWS documents.
#[derive(Debug, Clone, Copy)]
pub struct KnownField {
    /// Its name in records; the column is this in lower case.
    pub name: &'static str,
    /// Its place.
    pub slot: Slot,
    /// Its column.
    pub shape: Shape,
    /// How its entry begins.
    pub(super) opening: Opening,
}

const fn text(name: &'static str, slot: Slot) -> KnownField {
    KnownField {
        name,
        slot,
        shape: Shape::Text,
        opening: Opening::of(name),
    }
}

const fn json(name: &'static str, slot: Slot) -> KnownField {
    KnownField {
        name,
        slot,
        shape: Shape::Json,
        opening: Opening::of(name),
    }
}

const fn object(name: &'static str, slot: Slot, fields: &'static [KnownField]) -> KnownField {
    KnownField {
        name,
        slot,
        shape: Shape::Object(fields),
        opening: Opening::of(name),
    }
}

/// The fields of a record, in the order of Athena's columns, then the superset.
pub const RECORD: &[KnownField] = &[
    text("eventVersion", Slot::EventVersion),
    object("userIdentity", Slot::UserIdentity, USER_IDENTITY),
    text("eventTime", Slot::EventTime),
    text("eventSource", Slot::EventSource),
    text("eventName", Slot::EventName),
    text("awsRegion", Slot::AwsRegion),
    text("sourceIPAddress", Slot::SourceIpAddress),
    text("userAgent", Slot::UserAgent),
    text("errorCode", Slot::ErrorCode),
    text("errorMessage", Slot::ErrorMessage),
    json("requestParameters", Slot::RequestParameters),
    json("responseElements", Slot::ResponseElements),
    json("additionalEventData", Slot::AdditionalEventData),
    text("requestID", Slot::RequestId),
    text("eventID", Slot::EventId),
    text("readOnly", Slot::ReadOnly),
    KnownField {
        name: "resources",
        opening: Opening::of("resources"),
        slot: Slot::Resources,
        shape: Shape::Objects(RESOURCE),
    },
    text("eventType", Slot::EventType),
    text("apiVersion", Slot::ApiVersion),
    text("recipientAccountId", Slot::RecipientAccountId),
    json("serviceEventDetails", Slot::ServiceEventDetails),
    text("sharedEventID", Slot::SharedEventId),
    text("vpcEndpointId", Slot::VpcEndpointId),
    text("vpcEndpointAccountId", Slot::VpcEndpointAccountId),
    text("eventCategory", Slot::EventCategory),
    object(
        "addendum",
        Slot::Addendum,
        &[
            text("reason", Slot::AddendumReason),
            text("updatedFields", Slot::UpdatedFields),
            text("originalRequestID", Slot::OriginalRequestId),
            text("originalEventID", Slot::OriginalEventId),
        ],
    ),
    text(
        "sessionCredentialFromConsole",
        Slot::SessionCredentialFromConsole,
    ),
    text("edgeDeviceDetails", Slot::EdgeDeviceDetails),
    object(
        "tlsDetails",
        Slot::TlsDetails,
        &[
            text("tlsVersion", Slot::TlsVersion),
            text("cipherSuite", Slot::CipherSuite),
            text("clientProvidedHostHeader", Slot::ClientProvidedHostHeader),
            text("keyExchange", Slot::KeyExchange),
        ],
    ),
    text("managementEvent", Slot::ManagementEvent),
    json("insightDetails", Slot::InsightDetails),
    json("eventContext", Slot::EventContext),
];

const USER_IDENTITY: &[KnownField] = &[
    text("type", Slot::IdentityType),
    text("principalId", Slot::PrincipalId),
    text("arn", Slot::Arn),
    text("accountId", Slot::AccountId),
    text("invokedBy", Slot::InvokedBy),
    text("accessKeyId", Slot::AccessKeyId),
    text("userName", Slot::UserName),
    object(
        "onBehalfOf",
        Slot::OnBehalfOf,
        &[
            text("userId", Slot::OnBehalfOfUserId),
            text("identityStoreArn", Slot::IdentityStoreArn),
        ],
    ),
    object("sessionContext", Slot::SessionContext, SESSION_CONTEXT),
    text("credentialId", Slot::CredentialId),
    json("inScopeOf", Slot::InScopeOf),
    json("invokedByDelegate", Slot::InvokedByDelegate),
    text("identityProvider", Slot::IdentityProvider),
];

const SESSION_CONTEXT: &[KnownField] = &[
    object(
        "attributes",
        Slot::SessionAttributes,
        &[
            text("mfaAuthenticated", Slot::MfaAuthenticated),
            text("creationDate", Slot::CreationDate),
        ],
    ),
    object(
        "sessionIssuer",
        Slot::SessionIssuer,
        &[
            text("type", Slot::IssuerType),
            text("principalId", Slot::IssuerPrincipalId),
            text("arn", Slot::IssuerArn),
            text("accountId", Slot::IssuerAccountId),
            text("userName", Slot::IssuerUserName),
        ],
    ),
    text("ec2RoleDelivery", Slot::Ec2RoleDelivery),
    object(
        "webIdFederationData",
        Slot::WebIdFederationData,
        &[
            text("federatedProvider", Slot::FederatedProvider),
            KnownField {
                name: "attributes",
                opening: Opening::of("attributes"),
                slot: Slot::FederationAttributes,
                shape: Shape::TextMap,
            },
        ],
    ),
    text("sourceIdentity", Slot::SourceIdentity),
    text("assumedRoot", Slot::AssumedRoot),
];

const RESOURCE: &[KnownField] = &[
    text("ARN", Slot::ResourceArn),
    text("accountId", Slot::ResourceAccountId),
    text("type", Slot::ResourceType),
    text("ARNPrefix", Slot::ResourceArnPrefix),
];

/// The column of unknown fields.
pub const EXTRA_COLUMN: &str = "extra";

/// Text columns from the object's key: `timestamp` is the day of delivery as `yyyy/MM/dd`.
pub const PARTITION_COLUMNS: [&str; 6] = ["account", "region", "year", "month", "day", "timestamp"];

/// The type of a typed column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypedKind {
    /// `Utf8`.
    Text,
    /// `Boolean`.
    Boolean,
    /// `Timestamp(µs, UTC)`.
    Instant,
    /// `Int64`.
    Count,
}

/// The columns made from a record, and from what:
///
/// | column | from |
/// |---|---|
/// | `event_time` | `eventTime`, in any ISO form, UTC without an offset; of an aggregated record `timeWindow.windowStart`; null when it is no instant |
/// | `event_category` | `eventCategory`; where absent `managementEvent`, `eventType`, or for versions before 1.07 the name of the event; null when unknown |
/// | `account_id` | `recipientAccountId`, else a top-level `accountId` (aggregated records), else the key's account |
/// | `service` | `eventSource` without `.amazonaws.com` and what follows it |
/// | `is_error` | an `errorCode` (other than `200`) or an `errorMessage`, or a console sign-in that answered `Failure` |
/// | `is_denied` | `errorCode` names a refusal: `AccessDenied…`, `…Unauthorized…`, `NotAuthorized`, `AuthorizationError…`, `Forbidden…`, with any prefix |
/// | `principal_type` | `userIdentity.type`; `AWSService` when it is absent and `invokedBy` is there |
/// | `principal_arn` | `sessionIssuer.arn`; else for an assumed role without issuer the role of the session's ARN (its path is not known); else `userIdentity.arn` |
/// | `principal_name` | `sessionIssuer.userName`, `userIdentity.userName`, the last part of `principal_arn`, of a service `invokedBy` |
/// | `principal_account_id` | `sessionIssuer.accountId`, `userIdentity.accountId`, the account of `principal_arn` |
/// | `session_name` | of `assumed-role/<role>/<session>` and `federated-user/<session>`; else what follows `:` in the principal id of a role |
/// | `access_key_id` | `userIdentity.accessKeyId`, null when blank |
/// | `identity_center_user_id` | `userIdentity.onBehalfOf.userId` |
/// | `source_identity` | `sessionContext.sourceIdentity` |
/// | `invoked_by` | `userIdentity.invokedBy` |
/// | `mfa_authenticated` | `sessionContext.attributes.mfaAuthenticated`; of a console sign-in `additionalEventData.MFAUsed` |
/// | `tls_version` | `tlsDetails.tlsVersion`, written `TLSv1.3` also where the record says `1.3` |
/// | `record_id` | `eventID`; else the SHA-256 of the record's bytes in hex |
/// | `object_key`, `record_index` | where the record lies: the object's key, and the record's number in it from 0 |
/// | `is_duplicate` | always false here; set when files are merged |
pub const TYPED_COLUMNS: [(&str, TypedKind); 21] = [
    ("event_time", TypedKind::Instant),
    ("event_category", TypedKind::Text),
    ("account_id", TypedKind::Text),
    ("service", TypedKind::Text),
    ("is_error", TypedKind::Boolean),
    ("is_denied", TypedKind::Boolean),
    ("principal_type", TypedKind::Text),
    ("principal_arn", TypedKind::Text),
    ("principal_name", TypedKind::Text),
    ("principal_account_id", TypedKind::Text),
    ("session_name", TypedKind::Text),
    ("access_key_id", TypedKind::Text),
    ("identity_center_user_id", TypedKind::Text),
    ("source_identity", TypedKind::Text),
    ("invoked_by", TypedKind::Text),
    ("mfa_authenticated", TypedKind::Boolean),
    ("tls_version", TypedKind::Text),
    ("record_id", TypedKind::Text),
    ("object_key", TypedKind::Text),
    ("record_index", TypedKind::Count),
    ("is_duplicate", TypedKind::Boolean),
];

impl TypedKind {
    /// Arrow's type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Count => DataType::Int64,
        }
    }
}

impl Shape {
    /// Arrow's type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Object(fields) => DataType::Struct(arrow_fields(fields)),
            Self::TextMap => crate::k9::tags_type(),
            Self::Objects(fields) => DataType::List(Arc::new(Field::new(
                "item",
                DataType::Struct(arrow_fields(fields)),
                true,
            ))),
        }
    }
}

/// The columns, or struct fields, of known fields.
pub(crate) fn arrow_fields(fields: &[KnownField]) -> Fields {
    fields
        .iter()
        .map(|field| {
            Field::new(
                field.name.to_ascii_lowercase(),
                field.shape.data_type(),
                true,
            )
        })
        .collect()
}

/// The schema of every CloudTrail table file. Every column can be null.
pub fn event_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = arrow_fields(RECORD).iter().cloned().collect::<Vec<_>>();
        let text = std::iter::once(EXTRA_COLUMN).chain(PARTITION_COLUMNS);
        fields.extend(text.map(|name| Arc::new(Field::new(name, DataType::Utf8, true))));
        fields.extend(
            TYPED_COLUMNS.map(|(name, kind)| Arc::new(Field::new(name, kind.data_type(), true))),
        );
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(fields: &[KnownField]) -> Vec<usize> {
        let mut numbers = Vec::new();
        for field in fields {
            numbers.push(field.slot.index());
            if let Shape::Object(fields) | Shape::Objects(fields) = field.shape {
                numbers.extend(slots(fields));
            }
        }
        numbers
    }

    #[test]
    fn slots_are_numbered_depth_first_without_a_gap() {
        assert_eq!(slots(RECORD), (0..Slot::COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_columns_are_those_of_athena_in_its_order() {
        let schema = event_schema();
        let names = schema.fields().iter().map(|f| f.name().as_str());
        assert_eq!(
            names.take(29).collect::<Vec<_>>().join(" "),
            "eventversion useridentity eventtime eventsource eventname awsregion sourceipaddress useragent \
             errorcode errormessage requestparameters responseelements additionaleventdata requestid eventid \
             readonly resources eventtype apiversion recipientaccountid serviceeventdetails sharedeventid \
             vpcendpointid vpcendpointaccountid eventcategory addendum sessioncredentialfromconsole \
             edgedevicedetails tlsdetails"
        );
    }

    #[test]
    fn no_two_columns_have_one_name() {
        let schema = event_schema();
        let mut names = schema.fields().iter().map(|f| f.name()).collect::<Vec<_>>();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
