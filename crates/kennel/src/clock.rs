//! The one place that looks at the clock.

use chrono::{DateTime, Utc};

/// Fixes the clock for tests: an RFC 3339 time. Not for users, hence in no help page.
const FIXED: &str = "KENNEL_TEST_NOW";

/// Now.
pub(crate) fn now() -> DateTime<Utc> {
    std::env::var(FIXED)
        .ok()
        .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
        .map_or_else(Utc::now, |fixed| fixed.to_utc())
}
