//! What can go wrong on cue: which requests a fault meets, and what it does to them.

use super::Bucket;
use super::answer::ErrorAnswer;
use super::request::Operation;
use bytes::Bytes;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A fault and the requests that it meets.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which requests.
    pub on: Matcher,
    /// What happens to them.
    pub kind: FaultKind,
}

/// Says which requests a fault meets; without more words, the first one that matches.
#[derive(Clone, Debug)]
pub struct Matcher {
    operation: Option<Operation>,
    key_glob: String,
    page: Option<u64>,
    is_resume: Option<bool>,
    nth: u64,
    count: Option<u64>,
    is_per_key: bool,
}

impl Matcher {
    fn new(operation: Option<Operation>, key_glob: &str) -> Self {
        Self {
            operation,
            key_glob: key_glob.to_owned(),
            page: None,
            is_resume: None,
            nth: 1,
            count: Some(1),
            is_per_key: false,
        }
    }

    /// Any request.
    pub fn any() -> Self {
        Self::new(None, "*")
    }

    /// `GetObject` of keys that match (`*` stands for any text, slashes too; `?` for one character).
    pub fn get(key_glob: &str) -> Self {
        Self::new(Some(Operation::Get), key_glob)
    }

    /// `HeadObject` of keys that match.
    pub fn head(key_glob: &str) -> Self {
        Self::new(Some(Operation::Head), key_glob)
    }

    /// Any page of any listing.
    pub fn list() -> Self {
        Self::new(Some(Operation::List), "*")
    }

    /// Page n of a listing, counted from 1.
    pub fn list_page(page: u64) -> Self {
        Self {
            page: Some(page),
            ..Self::list()
        }
    }

    /// Listings whose prefix matches.
    #[must_use]
    pub fn prefix(mut self, prefix_glob: &str) -> Self {
        prefix_glob.clone_into(&mut self.key_glob);
        self
    }

    /// Only requests with a `Range`: resumed downloads and parts.
    #[must_use]
    pub fn resumed(mut self) -> Self {
        self.is_resume = Some(true);
        self
    }

    /// Only requests without a `Range`.
    #[must_use]
    pub fn fresh(mut self) -> Self {
        self.is_resume = Some(false);
        self
    }

    /// Begins at the nth match, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// Meets this many matches in a row.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// Never ends.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.count = None;
        self
    }

    /// Counts the matches of each key by themselves.
    #[must_use]
    pub fn per_key(mut self) -> Self {
        self.is_per_key = true;
        self
    }
}

/// What happens to a request. Where several faults meet one request all of them act, in the order given, until one of
/// them leaves nothing more to do.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// The request waits before anything is looked at.
    Delay(Duration),
    /// The object asked for gets this body first (a later `modified_at`, the other options kept); then the answer.
    Replace(Bytes),
    /// The object asked for is deleted first; then the answer.
    Delete,
    /// The bucket is changed first, in any way; then the answer. Made by [`FaultKind::before`].
    Before(Change),

    /// An error with its own status.
    Status(ErrorAnswer),
    /// An error document with status 200.
    ErrorWithStatus200(ErrorAnswer),
    /// A login page with status 200.
    Html,
    /// Status 200, nothing in it, no ETag.
    Empty,
    /// Another body in place of the right one, of its own right length, other headers kept.
    Body(Bytes),
    /// The connection ends (FIN) before any byte of the answer.
    CloseBeforeHeaders,
    /// The connection is reset (RST) before any byte of the answer.
    ResetBeforeHeaders,

    /// The connection ends (FIN) after this many bytes of the body (at most all but one).
    CloseAfter(usize),
    /// The connection is reset (RST) after this many bytes of the body (at most all but one).
    ResetAfter(usize),
    /// `Content-Length` is wrong by this much; the right body is sent, then the connection ends.
    ContentLength(i64),
    /// The body comes in chunks, without `Content-Length`.
    Chunked,
    /// Neither `Content-Length` nor chunks: the end of the connection ends the body.
    CloseDelimited,
    /// This many bytes of the body, then a pause, again and again; after `bound` the connection is reset.
    Trickle {
        /// Bytes sent at a time.
        bytes: usize,
        /// The pause between them.
        pause: Duration,
        /// The longest that it goes on.
        bound: Duration,
    },
    /// This many bytes of the body, then silence; after `bound` the connection is reset.
    Stall {
        /// Bytes of the body sent before the silence.
        after: usize,
        /// The longest that it goes on.
        bound: Duration,
    },
    /// One byte of the body is another (at most the last one); the length is right.
    FlipByte(usize),
    /// The body ends after this many bytes, and `Content-Length` agrees.
    Shorten(usize),
    /// A range is asked for, the whole is sent with 200.
    IgnoreRange,
    /// Another range than asked for, its start moved by this much, honestly labelled.
    ShiftRange(i64),
    /// `If-Match` and `If-None-Match` are not looked at.
    IgnoreConditions,

    /// The next token is the one that the request came with.
    SameToken,
    /// `IsTruncated` is true and no token follows.
    TruncatedWithoutToken,
    /// The keys of the page stand in descending order.
    ReversedKeys,
    /// The page shows the first page's keys again, with a token that leads on.
    PageAgain,
    /// The last key of the page stands there twice.
    DuplicateKey,
    /// `KeyCount` is wrong by this much.
    KeyCount(i64),
    /// The first key of the page is left out, `KeyCount` agrees.
    MissingKey,
}

impl FaultKind {
    /// An error with a plain sentence; [`FaultKind::Status`] takes more.
    pub fn status(status: u16, code: &str) -> Self {
        Self::Status(ErrorAnswer::new(
            status,
            code,
            "a fault that the test asked for",
        ))
    }

    /// Changes the bucket that is asked before it answers, such as putting a key behind a listing's cursor.
    pub fn before(change: impl Fn(&Bucket) + Send + Sync + 'static) -> Self {
        Self::Before(Change(Arc::new(change)))
    }

    /// 503 `SlowDown`.
    pub fn slow_down() -> Self {
        Self::Status(ErrorAnswer::slow_down())
    }
}

/// A change of a bucket that a fault makes before the answer.
#[derive(Clone)]
pub struct Change(pub(super) Arc<dyn Fn(&Bucket) + Send + Sync>);

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Change")
    }
}

/// What a matcher looks at.
pub(super) struct Sighting<'a> {
    pub(super) operation: Operation,
    /// The key, or the prefix of a listing.
    pub(super) key: &'a str,
    /// The page of a listing.
    pub(super) page: u64,
    pub(super) has_range: bool,
    /// The length of the object asked for, where there is one.
    pub(super) size_bytes: usize,
}

/// A fault and how often it was met.
pub(super) struct ArmedFault {
    fault: Fault,
    seen: HashMap<String, u64>,
}

impl ArmedFault {
    pub(super) fn new(fault: Fault) -> Self {
        Self {
            fault,
            seen: HashMap::new(),
        }
    }

    /// Counts a request and says what happens to it, if anything.
    pub(super) fn meet(&mut self, sighting: &Sighting<'_>) -> Option<FaultKind> {
        let on = &self.fault.on;
        let is_match = on
            .operation
            .is_none_or(|operation| operation == sighting.operation)
            && on.page.is_none_or(|page| page == sighting.page)
            && on
                .is_resume
                .is_none_or(|is_resume| is_resume == sighting.has_range)
            && glob_matches(on.key_glob.as_bytes(), sighting.key.as_bytes());
        if !is_match {
            return None;
        }
        let counted = if on.is_per_key {
            sighting.key.to_owned()
        } else {
            String::new()
        };
        let seen = self.seen.entry(counted).or_default();
        *seen += 1;
        let is_due = *seen >= on.nth
            && on
                .count
                .is_none_or(|count| *seen < on.nth.saturating_add(count));
        is_due.then(|| self.fault.kind.clone())
    }
}

/// `*` stands for any text, `?` for one byte.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    match (glob.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|skip| glob_matches(rest, &text[skip..])),
        (Some((b'?', glob)), Some((_, text))) => glob_matches(glob, text),
        (Some((wanted, glob)), Some((found, text))) => wanted == found && glob_matches(glob, text),
        _ => false,
    }
}

/// Faults by chance, the same for the same seed: what happens to a key's nth request does not depend on other requests.
///
/// Only faults that a patient client overcomes: 503, 500, connections cut before and inside an answer, a flipped byte.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    seed: u64,
    rate: f64,
    max_per_key: u64,
    asked: HashMap<String, u64>,
    hit: HashMap<String, u64>,
}

impl FaultPlan {
    /// Each request fails with probability `rate` (0 to 1), each key at most 3 times.
    pub fn random(seed: u64, rate: f64) -> Self {
        Self {
            seed,
            rate,
            max_per_key: 3,
            asked: HashMap::new(),
            hit: HashMap::new(),
        }
    }

    /// Each key (and each page of a listing) fails at most this often.
    #[must_use]
    pub fn max_per_key(mut self, max_per_key: u64) -> Self {
        self.max_per_key = max_per_key;
        self
    }

    pub(super) fn meet(&mut self, sighting: &Sighting<'_>) -> Option<FaultKind> {
        let name = format!(
            "{:?} {} {}",
            sighting.operation, sighting.page, sighting.key
        );
        let asked = self.asked.entry(name.clone()).or_default();
        *asked += 1;
        let mut dice = Dice(self.seed ^ fnv(format!("{name} {asked}").as_bytes()));
        let hit = self.hit.entry(name).or_default();
        if *hit >= self.max_per_key || dice.unit() >= self.rate {
            return None;
        }
        *hit += 1;
        let is_get = sighting.operation == Operation::Get;
        let at = dice.below(sighting.size_bytes.max(1) as u64) as usize;
        Some(match dice.below(if is_get { 7 } else { 4 }) {
            0 => FaultKind::slow_down(),
            1 => FaultKind::Status(ErrorAnswer::internal_error()),
            2 => FaultKind::CloseBeforeHeaders,
            3 => FaultKind::ResetBeforeHeaders,
            4 => FaultKind::CloseAfter(at),
            5 => FaultKind::ResetAfter(at),
            _ => FaultKind::FlipByte(at),
        })
    }
}

/// SplitMix64: small, and good enough to choose faults.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// FNV-1a, which unlike the standard library's hasher is the same in every build.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
