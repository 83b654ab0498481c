//! Finds the records in an object's text, whatever they are wrapped in.

use super::{
    DecodeError, DecodeLimits, DecodeOutcome, EventCategory, RecordProblem, TrailTable,
    derive::Record,
    record::Fields,
    scan::Scanner,
    scan_error::ScanError,
    text::plain,
    value::{Kind, Value},
    window::Window,
};
use crate::trail::{held::HeldRecords, schema::Slot};

/// One object on its way to rows.
pub(super) struct Reader<'r, 'w> {
    pub(super) window: &'r mut Window<'w>,
    pub(super) fields: &'r mut Fields,
    pub(super) stack: &'r mut Vec<u8>,
    /// What kind of records the object's folder holds.
    pub(super) kind: TrailTable,
    pub(super) sink: &'r mut HeldRecords,
    pub(super) limits: &'r DecodeLimits,
    /// Position in the window.
    pub(super) at: usize,
    /// Bytes of text that the window has forgotten.
    pub(super) consumed: u64,
    /// Number of the next record.
    pub(super) index: u64,
    /// The first reason for which a record was not taken.
    pub(super) refusal: Option<Refusal>,
    pub(super) outcome: DecodeOutcome,
}

/// Holds a record as a string in what `lookup-events` prints.
const LOOKED_UP: &str = "CloudTrailEvent";

/// What a record beyond the limit should have been.
const TOO_LONG: &str = "a record that is no longer than what may be held";

/// Why a value was not taken for a record.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The text cannot be read beyond it.
    Broken { at: u64, expected: &'static str },
    /// It says something about the object as a whole.
    Object(DecodeError),
}

/// What a look into an object at the top finds.
enum Top {
    /// A list of records: stands behind its `[`.
    Records,
    /// The object's end: nothing in it.
    Empty,
    /// The object's end: it is a record itself, or a wrapper around one, or nothing of ours.
    Whole,
}

impl Reader<'_, '_> {
    pub(super) fn read(mut self) -> Result<DecodeOutcome, DecodeError> {
        self.values()?;
        self.outcome.members = self.window.packing.members;
        self.outcome.expanded_bytes = self.window.packing.expanded_bytes;
        if self.outcome.record_count == 0 && self.outcome.problem_count > 0 {
            match self.refusal.take() {
                Some(Refusal::Object(error)) => return Err(error),
                Some(Refusal::Broken { at, expected }) => {
                    return Err(DecodeError::NotJson {
                        at,
                        length: self.window.packing.expanded_bytes,
                        expected,
                    });
                }
                // Broken records, each with an end of its own.
                None => {}
            }
        }
        Ok(self.outcome)
    }

    /// Scans from here, reading on as often as the text ends too early; stands after it then.
    fn scan<T>(
        &mut self,
        mut scan: impl FnMut(&mut Scanner<'_, '_>, &mut Fields) -> Result<T, ScanError>,
    ) -> Result<Result<T, ScanError>, DecodeError> {
        loop {
            let mut scanner = Scanner::new(self.window.bytes(), self.at, self.stack);
            match scan(&mut scanner, self.fields) {
                Ok(found) => {
                    self.at = scanner.at;
                    return Ok(Ok(found));
                }
                Err(ScanError::END) => match self.window.more(self.at)? {
                    Some(moved) => {
                        self.at -= moved;
                        self.consumed += moved as u64;
                    }
                    None => return Ok(Err(ScanError::END)),
                },
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// The next byte that is no blank; `None` at the end of the text.
    fn token(&mut self) -> Result<Option<u8>, DecodeError> {
        let found = self.scan(|scanner, _| match scanner.token() {
            // What is no token is told by whoever expects one.
            Err(error) if error.invalid_at().is_some() => Ok(0),
            other => other,
        })?;
        Ok(found.ok())
    }

    /// All values of the text: usually one.
    fn values(&mut self) -> Result<(), DecodeError> {
        const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];
        // Reads the beginning of a text that comes in pieces.
        self.token()?;
        if self.window.bytes()[self.at..].starts_with(&BYTE_ORDER_MARK) {
            self.at += BYTE_ORDER_MARK.len();
        }
        while let Some(byte) = self.token()? {
            let is_read = match byte {
                b'{' => self.top_object()?,
                b'[' => {
                    self.at += 1;
                    self.elements()?
                }
                // Between records of some exports.
                b',' => {
                    self.at += 1;
                    true
                }
                _ => {
                    let at = self.at;
                    self.broken(at, "`{` or `[`");
                    false
                }
            };
            if !is_read && !self.next_line()? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// After a value that could not be read: whether a later line begins another.
    fn next_line(&mut self) -> Result<bool, DecodeError> {
        loop {
            let bytes = &self.window.bytes()[self.at..];
            if let Some(offset) = bytes.windows(2).position(|pair| pair == b"\n{") {
                self.at += offset + 1;
                return Ok(true);
            }
            // The last byte may be the line's end.
            self.at += bytes.len().saturating_sub(1);
            match self.window.more(self.at)? {
                Some(moved) => {
                    self.at -= moved;
                    self.consumed += moved as u64;
                }
                None => return Ok(false),
            }
        }
    }

    /// An object at the top; false when it could not be read to its end.
    fn top_object(&mut self) -> Result<bool, DecodeError> {
        let start = self.at;
        let start_of_text = self.consumed + start as u64;
        let found = self.scan(|scanner, _| {
            scanner.at += 1;
            if scanner.token()? == b'}' {
                scanner.at += 1;
                return Ok(Top::Empty);
            }
            look_for_records(scanner)
        })?;
        match found {
            Ok(Top::Empty) => Ok(true),
            Ok(Top::Records) => {
                while self.elements()? {
                    // What follows the list: usually the object's end.
                    let found = self.scan(|scanner, _| {
                        if scanner.entry_follows()? {
                            look_for_records(scanner)
                        } else {
                            Ok(Top::Empty)
                        }
                    })?;
                    match found {
                        Ok(Top::Records) => {}
                        Ok(Top::Empty | Top::Whole) => return Ok(true),
                        Err(error) => {
                            self.fail(error);
                            return Ok(false);
                        }
                    }
                }
                Ok(false)
            }
            Ok(Top::Whole) => {
                // Held whole, because the look went from its beginning to its end.
                self.at -= usize::try_from(self.consumed + self.at as u64 - start_of_text)
                    .unwrap_or(self.at);
                self.element()
            }
            Err(error) => {
                self.fail(error);
                self.index += 1;
                Ok(false)
            }
        }
    }

    /// Elements up to the `]` of their list; false when the list could not be read to its end.
    fn elements(&mut self) -> Result<bool, DecodeError> {
        loop {
            match self.token()? {
                Some(b']') => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(b',') => self.at += 1,
                Some(_) => {
                    if !self.element()? {
                        return Ok(false);
                    }
                }
                None => {
                    self.fail(ScanError::END);
                    return Ok(false);
                }
            }
        }
    }

    /// One value where a record belongs; false when the text cannot be read beyond it.
    fn element(&mut self) -> Result<bool, DecodeError> {
        let mut length = 0;
        let found = self.scan(|scanner, fields| {
            let start = scanner.at;
            let is_object = scanner.token()? == b'{';
            if is_object {
                fields.read(scanner)?;
            } else {
                scanner.value()?;
            }
            length = scanner.at - start;
            Ok(is_object)
        })?;
        let is_object = match found {
            Ok(is_object) => is_object,
            Err(error) => return self.pass_over(error),
        };
        if length > self.limits.max_held_bytes {
            self.note(not_json(self.consumed + self.at as u64, TOO_LONG));
        } else if is_object {
            self.take(self.at - length..self.at);
        } else {
            self.refuse(not_cloudtrail("a list of values that are no objects"));
        }
        self.index += 1;
        Ok(true)
    }

    /// Counts a broken value and goes behind it, if its end can be found.
    fn pass_over(&mut self, error: ScanError) -> Result<bool, DecodeError> {
        let Some((at, expected)) = error.invalid_at() else {
            self.fail(error);
            self.index += 1;
            return Ok(false);
        };
        let at_byte = self.consumed + at as u64;
        let is_passed = self.scan(|scanner, _| scanner.pass_over())?.is_ok()
            || self.scan(|scanner, _| scanner.next_record())?.is_ok();
        self.note(not_json(at_byte, expected));
        if !is_passed {
            self.refusal.get_or_insert(Refusal::Broken {
                at: at_byte,
                expected,
            });
        }
        self.index += 1;
        Ok(is_passed)
    }

    /// Takes the object whose fields were read for a record, or looks into it for one.
    fn take(&mut self, range: std::ops::Range<usize>) {
        let bytes = &self.window.bytes()[range];
        let taken = match simdutf8::basic::from_utf8(bytes) {
            Ok(json) => Taker {
                fields: self.fields,
                stack: self.stack,
                kind: self.kind,
                sink: self.sink,
                index: self.index,
            }
            .take(json, true),
            Err(_) => {
                // Bytes that are no text become replacement characters, which are longer: read it anew.
                let json = String::from_utf8_lossy(bytes).into_owned();
                self.note("bytes that are no UTF-8 were replaced".to_owned());
                Taker {
                    fields: self.fields,
                    stack: self.stack,
                    kind: self.kind,
                    sink: self.sink,
                    index: self.index,
                }
                .take_text(&json, true)
            }
        };
        match taken {
            Ok(category) => {
                self.outcome.record_count += 1;
                self.outcome.category_counts[category as usize] += 1;
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn refuse(&mut self, error: DecodeError) {
        self.note(match &error {
            DecodeError::NotCloudTrail { what } => format!("no CloudTrail record: {what}"),
            DecodeError::WrongKind { found, expected } => format!(
                "a record of kind {} among {}",
                found.as_str(),
                expected.as_str()
            ),
            other => other.to_string(),
        });
        self.refusal.get_or_insert(Refusal::Object(error));
    }

    fn fail(&mut self, error: ScanError) {
        match error.invalid_at() {
            Some((at, expected)) => self.broken(at, expected),
            None => {
                let expected = match self.window.is_at_end() {
                    true => "more: the text ends here",
                    false => TOO_LONG,
                };
                self.broken(self.window.bytes().len(), expected);
            }
        }
    }

    fn broken(&mut self, at: usize, expected: &'static str) {
        let at = self.consumed + at as u64;
        self.note(not_json(at, expected));
        self.refusal.get_or_insert(Refusal::Broken { at, expected });
    }

    fn note(&mut self, what: String) {
        self.outcome.problem_count += 1;
        if self.outcome.problems.len() < self.limits.max_problems {
            self.outcome.problems.push(RecordProblem {
                index: self.index,
                what,
            });
        }
    }
}

/// From a key on: goes to the first list of records, or to the end of the object.
fn look_for_records(scanner: &mut Scanner<'_, '_>) -> Result<Top, ScanError> {
    let mut is_empty = true;
    loop {
        let key = scanner.key()?;
        let name = scanner.inside(&key);
        let first = scanner.token()?;
        let is_records =
            name.eq_ignore_ascii_case(b"Records") || name.eq_ignore_ascii_case(b"Events");
        if is_records && first == b'[' {
            scanner.at += 1;
            return Ok(Top::Records);
        }
        let value = scanner.value()?;
        // `"Records": null` is as good as none.
        is_empty &= is_records && !value.is_some();
        if !scanner.entry_follows()? {
            return Ok(if is_empty { Top::Empty } else { Top::Whole });
        }
    }
}

/// Makes a row of an object, if it is a record.
struct Taker<'r> {
    fields: &'r mut Fields,
    stack: &'r mut Vec<u8>,
    kind: TrailTable,
    sink: &'r mut HeldRecords,
    index: u64,
}

impl Taker<'_> {
    /// The same, of a text that was not read before.
    fn take_text(&mut self, json: &str, may_wrap: bool) -> Result<EventCategory, DecodeError> {
        let mut scanner = Scanner::new(json.as_bytes(), 0, self.stack);
        let start = match scanner.token() {
            Ok(b'{') => scanner.at,
            _ => return Err(not_cloudtrail("a text that is no JSON object")),
        };
        let mut scanner = Scanner::new(json.as_bytes(), start, self.stack);
        if self.fields.read(&mut scanner).is_err() {
            return Err(not_cloudtrail("a text that is no JSON object"));
        }
        let end = scanner.at;
        self.take(&json[start..end], may_wrap)
    }

    fn take(&mut self, json: &str, may_wrap: bool) -> Result<EventCategory, DecodeError> {
        let record = Record {
            json,
            fields: self.fields,
        };
        // What `lookup-events` prints names its own fields like a record's: the wrapper is known by its content.
        let is_wrapper = may_wrap && record.fields.unknown_at_top(json, LOOKED_UP).is_some();
        if is_wrapper || !is_record(&record)? {
            return self.unwrap_record(json, may_wrap);
        }
        if let Some(found) = record.kind().filter(|kind| *kind != self.kind) {
            return Err(DecodeError::WrongKind {
                found,
                expected: self.kind,
            });
        }
        Ok(self.sink.hold(&record, self.index, self.stack))
    }

    /// An object that is no record: a wrapper of one, or what else it is.
    fn unwrap_record(&mut self, json: &str, may_wrap: bool) -> Result<EventCategory, DecodeError> {
        let value = |name| self.fields.unknown_at_top(json, name);
        let of_kind = |name, kind| value(name).filter(|value: &Value| value.kind() == kind);
        let inner = if may_wrap {
            of_kind(LOOKED_UP, Kind::String).or_else(|| of_kind("detail", Kind::Object))
        } else {
            None
        };
        if let Some(inner) = inner {
            // The text of a string, or an object as written.
            let text = match inner.kind() {
                Kind::String => plain(json, &inner).unwrap_or_default(),
                _ => inner.raw(json).into(),
            };
            return self.take_text(&text, false);
        }
        if value("digestS3Object").is_some() && value("digestEndTime").is_some() {
            return Err(DecodeError::Digest);
        }
        let keys = self.fields.unknown.iter().filter(|u| u.parent.is_none());
        let keys = keys
            .filter_map(|unknown| plain(json, &unknown.key))
            .take(4)
            .map(|key| format!("`{}`", key.chars().take(40).collect::<String>()))
            .collect::<Vec<_>>();
        Err(not_cloudtrail(if keys.is_empty() {
            "an object without the fields of a record".into()
        } else {
            format!("an object with {}", keys.join(", "))
        }))
    }
}

/// Whether an object is a record, and not one of those that look like it.
fn is_record(record: &Record<'_, '_>) -> Result<bool, DecodeError> {
    let source = record.text(Slot::EventSource);
    if let Some(source) = source.filter(|source| source.starts_with("aws:")) {
        // S3 notifications, streams of DynamoDB and Kinesis, queues.
        return Err(not_cloudtrail(format!("a notification of `{source}`")));
    }
    if let Some(version) = record.text(Slot::EventVersion) {
        let major = version.split('.').next().unwrap_or_default();
        return if major == "1" {
            Ok(true)
        } else {
            let version = version.chars().take(20).collect::<String>();
            Err(not_cloudtrail(format!("its eventVersion is `{version}`")))
        };
    }
    let has = |slot| record.fields.value(slot).is_some();
    Ok((has(Slot::EventTime) || has(Slot::EventId))
        && (has(Slot::EventName) || has(Slot::EventType) || has(Slot::InsightDetails)))
}

fn not_cloudtrail(what: impl Into<String>) -> DecodeError {
    DecodeError::NotCloudTrail { what: what.into() }
}

fn not_json(at: u64, expected: &str) -> String {
    format!("not JSON at byte {at}: expected {expected}")
}
