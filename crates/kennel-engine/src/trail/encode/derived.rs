//! The typed columns that hold texts: what each is made of, and what is remembered of it.

use std::borrow::Cow;

use super::rows::RowFacts;
use crate::trail::{
    decode::Record,
    schema::{PARTITION_COLUMNS, Slot},
};

/// Makes a text of a record.
type Derive = for<'t> fn(&Record<'t, '_>, &RowFacts<'t>) -> Option<Cow<'t, str>>;

/// A typed column of texts.
pub(super) struct TypedText {
    pub(super) name: &'static str,
    /// The field whose text, where there is one that is not blank, decides alone.
    pub(super) follows: Option<Slot>,
    /// `None`: it follows from the object's key.
    pub(super) derive: Option<Derive>,
}

const fn typed(name: &'static str, follows: Option<Slot>, derive: Derive) -> TypedText {
    TypedText {
        name,
        follows,
        derive: Some(derive),
    }
}

/// The typed columns that hold texts, in the order of [`TYPED_COLUMNS`](crate::trail::schema::TYPED_COLUMNS).
pub(super) const TYPED_TEXTS: [TypedText; 15] = [
    typed("event_category", Some(Slot::EventCategory), |record, _| {
        record.category()
    }),
    typed("account_id", Some(Slot::RecipientAccountId), |_, facts| {
        facts.account.map(Cow::Borrowed)
    }),
    typed("service", Some(Slot::EventSource), |record, _| {
        record.service()
    }),
    typed("principal_type", Some(Slot::IdentityType), |record, _| {
        record.principal_type()
    }),
    typed("principal_arn", Some(Slot::IssuerArn), |record, _| {
        record.principal_arn()
    }),
    typed("principal_name", Some(Slot::IssuerUserName), |record, _| {
        record.principal_name()
    }),
    typed(
        "principal_account_id",
        Some(Slot::IssuerAccountId),
        |record, _| record.principal_account(),
    ),
    // Of a session's ARN, or of the principal id.
    typed("session_name", None, |record, _| record.session_name()),
    typed("access_key_id", Some(Slot::AccessKeyId), |record, _| {
        record.text(Slot::AccessKeyId)
    }),
    typed(
        "identity_center_user_id",
        Some(Slot::OnBehalfOfUserId),
        |record, _| record.text(Slot::OnBehalfOfUserId),
    ),
    typed(
        "source_identity",
        Some(Slot::SourceIdentity),
        |record, _| record.text(Slot::SourceIdentity),
    ),
    typed("invoked_by", Some(Slot::InvokedBy), |record, _| {
        record.text(Slot::InvokedBy)
    }),
    typed("tls_version", Some(Slot::TlsVersion), |record, _| {
        record.tls_version()
    }),
    typed("record_id", None, |_, facts| Some(Cow::Borrowed(facts.id))),
    TypedText {
        name: "object_key",
        follows: None,
        derive: None,
    },
];

/// How many texts follow from an object's key: the partition columns, and the key.
pub(super) const OF_ORIGIN: usize = PARTITION_COLUMNS.len() + 1;

/// Nothing is known of it.
pub(super) const UNKNOWN: u32 = u32::MAX;
/// It is known that there is no text.
pub(super) const ABSENT: u32 = u32::MAX - 1;

/// Numbers of texts that follow from something else, which has a small number itself. So texts that always come together are
/// looked up once.
#[derive(Default)]
pub(super) struct Memo(Vec<u32>);

impl Memo {
    /// What is known: a number, [`ABSENT`] or [`UNKNOWN`].
    #[inline]
    pub(super) fn get(&self, from: usize) -> u32 {
        self.0.get(from).copied().unwrap_or(UNKNOWN)
    }

    /// Remembers: no text, or one with its number if it has one. What follows from nothing that is known is forgotten.
    pub(super) fn note(&mut self, from: usize, number: Option<Option<u32>>) {
        if from == UNKNOWN as usize {
            return;
        }
        if from >= self.0.len() {
            self.0.resize(from + 1, UNKNOWN);
        }
        self.0[from] = number.map_or(ABSENT, |number| number.unwrap_or(UNKNOWN));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
