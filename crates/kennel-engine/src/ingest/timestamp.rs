//! The forms in which k9 has written instants as text.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Texts that pandas and friends write for "no value".
pub(super) fn is_blank(text: &str) -> bool {
    matches!(
        text.trim(),
        "" | "None" | "NaT" | "nan" | "NaN" | "null" | "NULL" | "N/A" | "<NA>"
    )
}

/// Reads an instant as microseconds since 1970, UTC; what has no offset is UTC.
///
/// `2022-12-10T07:14:19.753800+00:00`, `2022-12-10 05:03:00+00:00`, `2023-08-02 15:59:31`, with `T` or a
/// space, any fraction, `Z`, ` UTC` or an offset, or only a date. Finer than microseconds is cut.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.timestamp_micros());
    }
    for form in [
        "%Y-%m-%d %H:%M:%S%.f%:z",
        "%Y-%m-%dT%H:%M:%S%.f%z",
        "%Y-%m-%d %H:%M:%S%.f%z",
    ] {
        if let Ok(instant) = DateTime::parse_from_str(text, form) {
            return Some(instant.timestamp_micros());
        }
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    for form in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
    ] {
        if let Ok(instant) = NaiveDateTime::parse_from_str(text, form) {
            return Some(instant.and_utc().timestamp_micros());
        }
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()?
        .and_hms_opt(0, 0, 0)
        .map(|day| day.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_k9_has_written_is_the_same_instant() {
        let expected = 1_670_656_459_000_000;
        for text in [
            "2022-12-10T07:14:19+00:00",
            "2022-12-10 07:14:19+00:00",
            "2022-12-10 07:14:19",
            "2022-12-10T07:14:19",
            "2022-12-10T07:14:19Z",
            "2022-12-10 07:14:19 UTC",
            "2022-12-10 07:14:19+0000",
            "2022-12-10 08:14:19.000000+01:00",
            " 2022-12-10 07:14:19 ",
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        assert_eq!(
            parse("2022-12-10T07:14:19.753800+00:00"),
            Some(expected + 753_800)
        );
        assert_eq!(parse("2022-12-10 07:14:19.753"), Some(expected + 753_000));
        assert_eq!(parse("2022-12-10"), Some(1_670_630_400_000_000));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "yesterday",
            "10/12/2022",
            "2022-13-01",
            "2022-12-10 25:00:00",
            "1670656459",
            "2022-12-10 07:14:19 CET",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
