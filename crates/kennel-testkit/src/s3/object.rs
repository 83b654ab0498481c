//! `GetObject` and `HeadObject`: conditions, ranges, parts and the headers of an object.

use super::answer::{Answer, ErrorAnswer};
use super::request::{Call, Operation};
use super::store::{Encryption, Object};
use std::ops::Range;

/// How a fault bends the reading of an object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bends {
    pub(super) ignore_range: bool,
    pub(super) ignore_conditions: bool,
    /// Moves the start of the range that is sent.
    pub(super) shift_range: i64,
}

/// Answers a GET or HEAD; for a HEAD the caller leaves the body away.
pub(super) fn read(call: &Call, object: &Object, bends: Bends) -> Answer {
    if call.operation() == Operation::Get && object.is_archived() {
        let message = "The operation is not valid for the object's storage class";
        return ErrorAnswer::new(403, "InvalidObjectState", message)
            .detail("StorageClass", object.storage_class())
            .answer();
    }
    if !bends.ignore_conditions
        && let Some(refusal) = check_conditions(call, object)
    {
        return refusal;
    }
    let length = object.body.len();
    let mut answer = match wanted_range(call, object, bends) {
        Wanted::Whole => Answer::new(200, object.body.clone()),
        Wanted::Part(range) => Answer::new(206, object.body.slice(range.clone())).header(
            "content-range",
            format!(
                "bytes {}-{}/{length}",
                range.start,
                range.end.saturating_sub(1)
            ),
        ),
        Wanted::Unsatisfiable => {
            return ErrorAnswer::new(
                416,
                "InvalidRange",
                "The requested range is not satisfiable",
            )
            .detail("ActualObjectSize", &length.to_string())
            .header("content-range", &format!("bytes */{length}"))
            .answer();
        }
    };
    add_headers(&mut answer, call, object);
    answer
}

fn check_conditions(call: &Call, object: &Object) -> Option<Answer> {
    let names_etag = |list: &str| {
        list.split(',')
            .any(|tag| tag.trim() == "*" || tag.trim().trim_matches('"') == object.etag)
    };
    if call
        .header("if-match")
        .is_some_and(|list| !names_etag(&list))
    {
        let message = "At least one of the pre-conditions you specified did not hold";
        let refusal = ErrorAnswer::new(412, "PreconditionFailed", message);
        return Some(refusal.detail("Condition", "If-Match").answer());
    }
    if call
        .header("if-none-match")
        .is_some_and(|list| names_etag(&list))
    {
        return Some(Answer::new(304, "").header("etag", format!("\"{}\"", object.etag)));
    }
    None
}

enum Wanted {
    Whole,
    Part(Range<usize>),
    Unsatisfiable,
}

fn wanted_range(call: &Call, object: &Object, bends: Bends) -> Wanted {
    let length = object.body.len();
    if let Some(number) = call.query("partNumber") {
        return wanted_part(number, object);
    }
    let header = call.header("range").filter(|_| !bends.ignore_range);
    // S3 answers a range that it cannot read with the whole object.
    let Some((first, last)) = header
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Wanted::Whole,
    };
    if range.start >= length {
        return Wanted::Unsatisfiable;
    }
    let shift = usize::try_from(bends.shift_range.unsigned_abs()).unwrap_or(usize::MAX);
    let start = if bends.shift_range < 0 {
        range.start.saturating_sub(shift)
    } else {
        range.start.saturating_add(shift).min(range.end - 1)
    };
    Wanted::Part(start..range.end)
}

fn wanted_part(number: &str, object: &Object) -> Wanted {
    let length = object.body.len();
    let part_size_bytes = object.options.part_size_bytes.unwrap_or(length.max(1));
    let start = number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1)?.checked_mul(part_size_bytes));
    match start {
        Some(0) if length == 0 => Wanted::Whole,
        Some(start) if start < length => {
            Wanted::Part(start..start.saturating_add(part_size_bytes).min(length))
        }
        _ => Wanted::Unsatisfiable,
    }
}

fn add_headers(answer: &mut Answer, call: &Call, object: &Object) {
    let options = &object.options;
    let is_whole = answer.status == 200;
    let modified_at = object
        .modified_at
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    let mut add = |name: &str, value: &str| answer.set_header(name, value);
    add("accept-ranges", "bytes");
    add("content-type", "binary/octet-stream");
    add("etag", &format!("\"{}\"", object.etag));
    add("last-modified", &modified_at);
    if let Some(encoding) = &options.content_encoding {
        add("content-encoding", encoding);
    }
    if let Some(class) = options
        .storage_class
        .as_deref()
        .filter(|class| *class != "STANDARD")
    {
        add("x-amz-storage-class", class);
    }
    if options.restored {
        let restored = "ongoing-request=\"false\", expiry-date=\"Fri, 01 Jan 2038 00:00:00 GMT\"";
        add("x-amz-restore", restored);
    }
    if let Some(version_id) = &options.version_id {
        add("x-amz-version-id", version_id);
    }
    match &options.encryption {
        Encryption::Aes256 => add("x-amz-server-side-encryption", "AES256"),
        Encryption::Kms(key) => {
            add("x-amz-server-side-encryption", "aws:kms");
            add("x-amz-server-side-encryption-aws-kms-key-id", key);
        }
        Encryption::Unsaid => {}
    }
    if let (Some(part), Some(_)) = (options.part_size_bytes, call.query("partNumber")) {
        add(
            "x-amz-mp-parts-count",
            &object.body.len().div_ceil(part).max(1).to_string(),
        );
    }
    for (name, value) in &options.metadata {
        add(&format!("x-amz-meta-{name}"), value);
    }
    let asks = call
        .header("x-amz-checksum-mode")
        .is_some_and(|mode| mode == "ENABLED");
    // The stored value speaks of the full object, so it accompanies nothing less.
    if let Some((name, value)) = object.checksum().filter(|_| asks && is_whole) {
        add(name, &value);
        add("x-amz-checksum-type", "FULL_OBJECT");
    }
}
