//! From an object as delivered to rows: gzip, JSON, records.
//!
//! A record is first taken apart (`record`: where each field lies, nothing copied) and only then
//! kept, so that a record that proves wrong leaves no trace. Nothing is parsed twice but the few objects that the
//! typed columns look into.
//!
//! What is read besides `{"Records":[…]}`: lists of records, records one after another (a line each or not),
//! what `lookup-events` prints (`Events[].CloudTrailEvent`), and envelopes of the event bus (`detail`).

mod derive;
mod envelope;
mod gzip;
mod opening;
mod record;
mod scan;
mod scan_error;
mod text;
mod value;
mod window;

#[cfg(test)]
mod tests;

use kennel_cache::{EventCategory, TrailTable};

pub use gzip::GzipError;

use super::held::HeldRecords;
use window::{Buffers, Window};

pub(crate) use derive::Record;
pub(crate) use opening::Opening;
pub(crate) use record::{Fields, Resource, SlotSet, Unknown};
pub(crate) use text::{compact, for_each_entry, json_bytes, plain, plain_bytes};
pub(crate) use value::{Kind, Value};

/// What an object's key says.
#[derive(Debug, Clone, Copy)]
pub struct ObjectOrigin<'a> {
    /// The key.
    pub key: &'a str,
    /// The folder's account, if the key has one.
    pub account: Option<&'a str>,
    /// The folder's region.
    pub region: Option<&'a str>,
    /// The day of delivery: `2023/07/10`.
    pub day: Option<&'a str>,
    /// What kind of records the folder holds.
    pub kind: TrailTable,
}

/// What one object may cost.
#[derive(Debug, Clone, Copy)]
pub struct DecodeLimits {
    /// An object that expands to more than this is refused.
    pub max_expanded_bytes: u64,
    /// An object up to this is expanded into memory, a larger one is read in pieces; no single record may
    /// be larger.
    pub max_held_bytes: usize,
    /// So many problems of one object are described; all are counted.
    pub max_problems: usize,
}

impl Default for DecodeLimits {
    /// 1 GiB expanded, 64 MiB held (CloudTrail begins a new file at 50 MB), 20 problems.
    fn default() -> Self {
        Self {
            max_expanded_bytes: 1 << 30,
            max_held_bytes: 64 << 20,
            max_problems: 20,
        }
    }
}

/// A record that was not loaded, or not as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordProblem {
    /// The record's number in the object, from 0.
    pub index: u64,
    /// What is wrong with it.
    pub what: String,
}

/// What was read from an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecodeOutcome {
    /// Rows made.
    pub record_count: u64,
    /// Rows of each category, in the order of [`EventCategory::ALL`].
    pub category_counts: [u64; EventCategory::ALL.len()],
    /// Gzip members: 0 for text as it is, more than 1 is not what CloudTrail delivers.
    pub members: u32,
    /// Bytes of text.
    pub expanded_bytes: u64,
    /// The first problems, at most [`DecodeLimits::max_problems`].
    pub problems: Vec<RecordProblem>,
    /// How many there were.
    pub problem_count: u64,
}

impl DecodeOutcome {
    /// The categories that occur, with the number of their rows.
    pub fn categories(&self) -> impl Iterator<Item = (EventCategory, u64)> {
        EventCategory::ALL
            .into_iter()
            .zip(self.category_counts)
            .filter(|(_, count)| *count > 0)
    }
}

/// Why an object as a whole was not read. No row was made from it then.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Its gzip is cut off, damaged, or expands beyond the limit.
    #[error(transparent)]
    Gzip(#[from] GzipError),
    /// It is no JSON.
    #[error("not JSON at byte {at} of {length}: expected {expected}")]
    NotJson {
        /// The byte in the text.
        at: u64,
        /// Bytes of text.
        length: u64,
        /// What should have been there.
        expected: &'static str,
    },
    /// It is JSON, and no CloudTrail records.
    #[error("not a CloudTrail log: {what}")]
    NotCloudTrail {
        /// What it is instead.
        what: String,
    },
    /// It is a digest, which proves logs and holds no events.
    #[error("a CloudTrail digest, not a log")]
    Digest,
    /// Its records are of another kind than its folder's.
    #[error("holds {} records in a folder of {} records", found.as_str(), expected.as_str())]
    WrongKind {
        /// Their kind.
        found: TrailTable,
        /// The folder's.
        expected: TrailTable,
    },
}

/// Reads objects, one after another. Keeps its buffers between them: one for each worker.
pub struct Decoder {
    limits: DecodeLimits,
    buffers: Buffers,
    fields: Fields,
    stack: Vec<u8>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder with these limits. What is held is at most 128 MiB: a column of a batch cannot hold more than
    /// 2 GiB, and a text may grow sixfold when control characters become escapes.
    pub fn new(mut limits: DecodeLimits) -> Self {
        const MOST_BYTES: usize = 128 << 20;
        limits.max_held_bytes = limits.max_held_bytes.min(MOST_BYTES);
        Self {
            limits,
            buffers: Buffers::new(),
            fields: Fields::new(),
            stack: Vec::new(),
        }
    }

    /// Adds the records of an object to `sink`, in the object's order.
    ///
    /// `object` is gzip of any number of members, or text; nothing but its first bytes decides.
    ///
    /// A record that is no JSON, no CloudTrail record, or of another kind than the folder's is counted with
    /// its index and not loaded; the others are. An object without records adds none and is no error.
    ///
    /// # Errors
    /// [`DecodeError`] when the object as a whole is refused; no record was added then.
    pub fn decode_object(
        &mut self,
        object: &[u8],
        origin: &ObjectOrigin<'_>,
        sink: &mut HeldRecords,
    ) -> Result<DecodeOutcome, DecodeError> {
        let mut window = Window::open(object, &self.limits, &mut self.buffers)?;
        sink.begin(origin);
        let result = envelope::Reader {
            window: &mut window,
            fields: &mut self.fields,
            stack: &mut self.stack,
            kind: origin.kind,
            sink,
            limits: &self.limits,
            at: 0,
            consumed: 0,
            index: 0,
            refusal: None,
            outcome: DecodeOutcome::default(),
        }
        .read();
        window.close(&mut self.buffers);
        self.stack.clear();
        result
    }
}
