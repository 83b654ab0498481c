//! The typed columns of a record; [`TYPED_COLUMNS`](crate::trail::schema::TYPED_COLUMNS) says which comes from what.

use std::borrow::Cow;

use super::{
    EventCategory, TrailTable,
    record::Fields,
    text::{entry, plain},
    value::{Kind, Value},
};
use crate::{ingest::parse_instant, trail::schema::Slot};

type Text<'t> = Option<Cow<'t, str>>;

/// A record's fields with its text.
pub(crate) struct Record<'t, 'f> {
    pub(crate) json: &'t str,
    pub(crate) fields: &'f Fields,
}

impl<'t> Record<'t, '_> {
    /// The text of a field; `None` when it is absent, null or blank.
    pub(crate) fn text(&self, slot: Slot) -> Text<'t> {
        plain(self.json, self.fields.value(slot)).filter(|text| !text.is_empty())
    }

    fn is(&self, slot: Slot, text: &str) -> bool {
        self.text(slot).as_deref() == Some(text)
    }

    /// The text of an entry of a field that is an object.
    fn entry(&self, object: &Value, name: &str, stack: &mut Vec<u8>) -> Text<'t> {
        let value = entry(self.json, object, name, stack)?;
        plain(self.json, &value).filter(|text| !text.is_empty())
    }

    /// What kind of record this says it is.
    pub(crate) fn kind(&self) -> Option<TrailTable> {
        let category = self.text(Slot::EventCategory);
        let event_type = self.text(Slot::EventType);
        match (category.as_deref(), event_type.as_deref()) {
            (Some("Insight"), _) | (None, Some("AwsCloudTrailInsight")) => {
                Some(TrailTable::Insights)
            }
            (Some("NetworkActivity"), _) | (None, Some("AwsVpceEvent" | "AwsVpceEvents")) => {
                Some(TrailTable::NetworkActivity)
            }
            (Some("Aggregated"), _) | (None, Some("AwsAggregatedEvent")) => {
                Some(TrailTable::Aggregated)
            }
            (Some("Management" | "Data"), _) => Some(TrailTable::Events),
            _ => None,
        }
    }

    /// `eventCategory`, or what stands for it in a record without one.
    pub(crate) fn category(&self) -> Text<'t> {
        if let Some(category) = self.text(Slot::EventCategory) {
            return Some(category);
        }
        let derived = match self.kind() {
            Some(TrailTable::Insights) => Some(EventCategory::Insight),
            Some(TrailTable::NetworkActivity) => Some(EventCategory::NetworkActivity),
            Some(TrailTable::Aggregated) => Some(EventCategory::Aggregated),
            Some(TrailTable::Events) | None => self.old_category(),
        };
        derived.map(|category| Cow::Borrowed(category.as_str()))
    }

    /// Management or data, of a record that does not say so: `managementEvent` came with 1.06,
    /// `eventCategory` with 1.07; before, only S3 and Lambda had data events.
    fn old_category(&self) -> Option<EventCategory> {
        match self.text(Slot::ManagementEvent).as_deref() {
            Some("true") => return Some(EventCategory::Management),
            Some("false") => return Some(EventCategory::Data),
            _ => {}
        }
        let version = self.text(Slot::EventVersion)?;
        let minor = version.strip_prefix("1.")?.parse::<u32>().ok()?;
        if minor >= 7 {
            return None;
        }
        let source = self.text(Slot::EventSource)?;
        let name = self.text(Slot::EventName)?;
        let is_data = match &*source {
            "s3.amazonaws.com" if S3_DATA_EVENTS.contains(&&*name) => true,
            // Names around objects that the list does not settle.
            "s3.amazonaws.com" if name.contains("Object") || name.contains("Part") => return None,
            "lambda.amazonaws.com" => name.starts_with("Invoke"),
            _ => false,
        };
        Some(if is_data {
            EventCategory::Data
        } else {
            EventCategory::Management
        })
    }

    /// Microseconds since 1970, UTC.
    pub(crate) fn time(&self, stack: &mut Vec<u8>) -> Option<i64> {
        if let Some(text) = self.text(Slot::EventTime) {
            return delivered_instant(text.as_bytes()).or_else(|| parse_instant(&text));
        }
        let window = self.fields.unknown_at_top(self.json, "timeWindow")?;
        parse_instant(&self.entry(&window, "windowStart", stack)?)
    }

    /// The account of the event, unless it is that of the key.
    pub(crate) fn account_value(&self) -> Option<Value> {
        let is_text = |value: &Value| plain(self.json, value).is_some_and(|t| !t.is_empty());
        let recipient = *self.fields.value(Slot::RecipientAccountId);
        Some(recipient).filter(is_text).or_else(|| {
            self.fields
                .unknown_at_top(self.json, "accountId")
                .filter(is_text)
        })
    }

    pub(crate) fn service(&self) -> Text<'t> {
        let source = self.text(Slot::EventSource)?;
        let end = match source.strip_suffix(".amazonaws.com") {
            Some(service) => service.len(),
            None => source.find(".amazonaws.com").unwrap_or(source.len()),
        };
        Some(part(source, 0..end))
    }

    pub(crate) fn is_error(&self, stack: &mut Vec<u8>) -> bool {
        let code = self.text(Slot::ErrorCode);
        code.is_some_and(|code| code != "200")
            || self.text(Slot::ErrorMessage).is_some()
            || (self.is(Slot::EventName, "ConsoleLogin")
                && self
                    .entry(
                        self.fields.value(Slot::ResponseElements),
                        "ConsoleLogin",
                        stack,
                    )
                    .is_some_and(|answer| answer.eq_ignore_ascii_case("Failure")))
    }

    pub(crate) fn is_denied(&self) -> bool {
        self.text(Slot::ErrorCode)
            .is_some_and(|code| names_a_refusal(&code))
    }

    pub(crate) fn principal_type(&self) -> Text<'t> {
        self.text(Slot::IdentityType).or_else(|| {
            self.text(Slot::InvokedBy)
                .map(|_| Cow::Borrowed("AWSService"))
        })
    }

    pub(crate) fn principal_arn(&self) -> Text<'t> {
        self.text(Slot::IssuerArn).or_else(|| {
            let arn = self.text(Slot::Arn)?;
            match role_of_session(&arn) {
                SessionRole::NotASession => Some(arn),
                SessionRole::Role(role) => Some(Cow::Owned(role)),
                SessionRole::Unknown => None,
            }
        })
    }

    pub(crate) fn principal_name(&self) -> Text<'t> {
        self.text(Slot::IssuerUserName)
            .or_else(|| self.text(Slot::UserName))
            .or_else(|| {
                let arn = self.principal_arn()?;
                let name = arn.rsplit(['/', ':']).next()?;
                (!name.is_empty()).then(|| Cow::Owned(name.to_owned()))
            })
            .or_else(|| {
                let is_service = self.principal_type().as_deref() == Some("AWSService");
                is_service.then(|| self.text(Slot::InvokedBy)).flatten()
            })
    }

    pub(crate) fn principal_account(&self) -> Text<'t> {
        self.text(Slot::IssuerAccountId)
            .or_else(|| self.text(Slot::AccountId))
            .or_else(|| {
                let arn = self.principal_arn()?;
                let account = arn.split(':').nth(4)?;
                (!account.is_empty()).then(|| Cow::Owned(account.to_owned()))
            })
    }

    pub(crate) fn session_name(&self) -> Text<'t> {
        if let Some(arn) = self.text(Slot::Arn) {
            let named = resource_of(&arn);
            let session = match named.strip_prefix("assumed-role/") {
                Some(role_and_session) => Some(role_and_session.split_once('/')?.1),
                None => named.strip_prefix("federated-user/"),
            };
            if let Some(session) = session {
                let (start, end) = (arn.len() - session.len(), arn.len());
                return Some(part(arn, start..end)).filter(|name| !name.is_empty());
            }
        }
        // Of another account's session only the principal id is known: `AROA…:session`.
        let id = self.text(Slot::PrincipalId)?;
        if !id.starts_with("AROA") {
            return None;
        }
        let (start, end) = (id.find(':')? + 1, id.len());
        Some(part(id, start..end)).filter(|name| !name.is_empty())
    }

    pub(crate) fn mfa_authenticated(&self, stack: &mut Vec<u8>) -> Option<bool> {
        let text = self.text(Slot::MfaAuthenticated).or_else(|| {
            let data = self.fields.value(Slot::AdditionalEventData);
            if data.kind() != Kind::Object || !self.is(Slot::EventName, "ConsoleLogin") {
                return None;
            }
            self.entry(data, "MFAUsed", stack)
        })?;
        let is_any = |words: [&str; 2]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        match (is_any(["true", "yes"]), is_any(["false", "no"])) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    pub(crate) fn tls_version(&self) -> Text<'t> {
        let version = self.text(Slot::TlsVersion)?;
        Some(if version.starts_with(|c: char| c.is_ascii_digit()) {
            Cow::Owned(format!("TLSv{version}"))
        } else {
            version
        })
    }
}

/// S3's events that are data events.
///
/// Source: S3 user guide, "Amazon S3 CloudTrail events": object-level actions.
const S3_DATA_EVENTS: [&str; 32] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjects",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "GetObjectTagging",
    "GetObjectTorrent",
    "HeadBucket",
    "HeadObject",
    "InitiateMultipartUpload",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjects",
    "ListParts",
    "OptionsObject",
    "PostObject",
    "PutObject",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "PutObjectTagging",
    "RestoreObject",
    "SelectObjectContent",
    "UploadPart",
    "UploadPartCopy",
];

/// A part of a text, borrowed where the text is.
fn part(text: Cow<'_, str>, range: std::ops::Range<usize>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
        Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
    }
}

enum SessionRole {
    NotASession,
    Role(String),
    Unknown,
}

/// The role of `arn:<partition>:sts::<account>:assumed-role/<role>/<session>`, taken to have no path.
/// Of roles that services make the path is known to be there, but not what it is.
fn role_of_session(arn: &str) -> SessionRole {
    let Some(named) = resource_of(arn).strip_prefix("assumed-role/") else {
        return SessionRole::NotASession;
    };
    let role = named.split('/').next().unwrap_or(named);
    if role.is_empty()
        || role.starts_with("AWSReservedSSO_")
        || role.starts_with("AWSServiceRoleFor")
    {
        return SessionRole::Unknown;
    }
    let parts = arn.splitn(6, ':').collect::<Vec<_>>();
    match parts[..] {
        ["arn", partition, "sts", _, account, _] => {
            SessionRole::Role(format!("arn:{partition}:iam::{account}:role/{role}"))
        }
        _ => SessionRole::Unknown,
    }
}

/// What follows the account in an ARN; nothing of a text that is none.
fn resource_of(arn: &str) -> &str {
    let colons = arn.bytes().enumerate().filter(|(_, byte)| *byte == b':');
    let last = colons.map(|(at, _)| at).nth(4);
    last.map_or("", |at| &arn[at + 1..])
}

/// Whether an error code says that the caller may not do this: services have many names for it.
fn names_a_refusal(code: &str) -> bool {
    // EC2 and others prefix their codes: `Client.UnauthorizedOperation`.
    let last = code.rsplit(['.', ':', '#']).next().unwrap_or(code);
    let contains = |word: &str| {
        code.as_bytes()
            .windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
    };
    contains("AccessDenied")
        || contains("Unauthorized")
        || last.eq_ignore_ascii_case("NotAuthorized")
        || last.starts_with("AuthorizationError")
        || last.starts_with("Forbidden")
}

/// `2023-07-10T11:45:07Z`, the form of all delivered records, as microseconds since 1970.
fn delivered_instant(text: &[u8]) -> Option<i64> {
    let text = <&[u8; 20]>::try_from(text).ok()?;
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0_i64, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let marks = [text[4], text[7], text[10], text[13], text[16], text[19]];
    if &marks != b"--T::Z" {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=month_days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 1970 in the Gregorian calendar, years counted from March so that leap days come last.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let days = 365 * shifted_year + shifted_year.div_euclid(4) - shifted_year.div_euclid(100)
        + shifted_year.div_euclid(400)
        + day_of_year
        - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delivered_form_of_a_time_is_read_as_every_other_form() {
        for text in [
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "0001-01-01T00:00:00Z",
            "2000-02-29T12:30:45Z",
            "2023-07-10T11:45:07Z",
            "2024-02-29T00:00:00Z",
            "2100-03-01T23:59:59Z",
            "9999-12-31T23:59:59Z",
        ] {
            let expected = parse_instant(text);
            assert!(expected.is_some(), "{text}");
            assert_eq!(delivered_instant(text.as_bytes()), expected, "{text}");
        }
        for text in [
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01 00:00:00Z",
            "2023-01-0aT00:00:00Z",
        ] {
            assert_eq!(delivered_instant(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn refusals_are_known_under_all_their_names() {
        for code in [
            "AccessDenied",
            "AccessDeniedException",
            "Client.UnauthorizedOperation",
            "UnauthorizedOperation",
            "VpceAccessDenied",
            "KMS.AccessDeniedException",
            "UnauthorizedException",
            "AuthorizationErrorException",
            "NotAuthorized",
            "ForbiddenException",
        ] {
            assert!(names_a_refusal(code), "{code}");
        }
        for code in [
            "NoSuchEntityException",
            "ThrottlingException",
            "Client.DryRunOperation",
            "NotAuthorizedException",
            "200",
        ] {
            assert!(!names_a_refusal(code), "{code}");
        }
    }

    #[test]
    fn the_role_behind_a_session_without_issuer_is_named_only_where_its_path_can_be_none() {
        let role = |arn| match role_of_session(arn) {
            SessionRole::Role(role) => Some(role),
            _ => None,
        };
        assert_eq!(
            role("arn:aws-cn:sts::111122223333:assumed-role/deploy/i-0abc").as_deref(),
            Some("arn:aws-cn:iam::111122223333:role/deploy")
        );
        assert_eq!(
            role("arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0a/alice"),
            None
        );
        assert!(matches!(
            role_of_session("arn:aws:iam::111122223333:user/a"),
            SessionRole::NotASession
        ));
    }
}
