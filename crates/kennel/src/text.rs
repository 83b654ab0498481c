//! Text for people: control characters made visible, sizes, counts, times, widths.

use std::{borrow::Cow, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Makes control characters and direction overrides visible, so that data cannot steer a terminal.
///
/// Newline, tab and carriage return become `\n`, `\t`, `\r`; others `\u{1b}`. A backslash stays as it is:
/// this is for reading, not for reading back.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unsafe(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// C0 and C1 controls, the bidirectional controls (they reorder what is read), line and paragraph
/// separators, and characters that take no room of their own but hide (zero-width, tags).
pub(crate) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Cuts a text to so many terminal columns; `…` stands for what was cut.
///
/// Of an ARN the end is kept: its beginning is the same in most rows.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let room = columns.saturating_sub(1);
    let mut taken = 0;
    let fits = |character: &char| {
        taken += character.width().unwrap_or(0);
        taken <= room
    };
    if text.starts_with("arn:") {
        let end = text.chars().rev().take_while(fits).collect::<Vec<_>>();
        Cow::Owned(std::iter::once('…').chain(end.into_iter().rev()).collect())
    } else {
        let mut start = text.chars().take_while(fits).collect::<String>();
        start.push('…');
        Cow::Owned(start)
    }
}

/// `1 object`, `12,345 objects`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `999 B`, `1.5 kB`, `38.0 MB`: decimal units, as S3 bills them.
pub(crate) fn bytes(size_bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if size_bytes < 1000 {
        return format!("{size_bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut size = size_bytes as f64 / 1000.0;
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// `2026-03-02 04:10 UTC`.
pub(crate) fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// An instant for machines: `2026-03-02T04:10:00Z`, with 3, 6 or 9 digits of fraction where there is one.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// `3 days ago`, `in the future` never: what lies ahead is told as it is.
pub(crate) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds();
    if seconds < 0 {
        return "ahead of this machine's clock".into();
    }
    let seconds = seconds.unsigned_abs();
    match seconds {
        0..60 => "just now".into(),
        60..3600 => format!("{} ago", counted(seconds / 60, "minute")),
        3600..172_800 => format!("{} ago", counted(seconds / 3600, "hour")),
        _ => format!("{} ago", counted(seconds / 86_400, "day")),
    }
}

/// `0.4 s`, `12 s`, `3 min 5 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Reads a span such as `36h`, `90d`, `2w`, `15m`.
pub(crate) fn parse_span(text: &str) -> Result<chrono::TimeDelta, String> {
    let wrong = || format!("`{text}` is not a span such as 36h, 90d or 2w");
    let text = text.trim();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number = digits.parse::<i64>().map_err(|_| wrong())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .and_then(chrono::TimeDelta::try_seconds)
        .ok_or_else(wrong)
}

/// Reads a size such as `500`, `64k`, `20M`, `1.5G`: bytes, decimal units; `KiB`, `MiB`, `GiB` binary.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size such as 500k, 20M or 1.5G");
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let number = trimmed[..split].parse::<f64>().map_err(|_| wrong())?;
    let factor: u32 = match trimmed[split..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let bytes = number * f64::from(factor);
    if !(1.0..9e18).contains(&bytes) {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie within u64"
    )]
    Ok(bytes as u64)
}

/// The nearest of the candidates, if one is near enough to be a slip: a third of its letters, at least one.
pub(crate) fn nearest<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate))
        .filter(|(distance, candidate)| {
            let length = candidate.chars().count();
            length > 1 && *distance <= (length / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_steer_a_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\r\n\tc"), "a\\u{1b}[2Jb\\r\\n\\tc");
        assert_eq!(
            visible("\u{9b}31m\u{202e}evil\u{200b}"),
            "\\u{9b}31m\\u{202e}evil\\u{200b}"
        );
        assert_eq!(visible("Zürich 東京 C:\\x"), "Zürich 東京 C:\\x");
    }

    #[test]
    fn a_cut_text_fits_and_says_that_it_was_cut() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!(cut("東京都", 5), "東京…");
        assert_eq!(cut("東京都", 4), "東…");
        assert_eq!(cut("abc", 1), "…");
        assert_eq!(cut("arn:aws:iam::111122223333:role/ci", 8), "…role/ci");
    }

    #[test]
    fn numbers_are_told_as_people_read_them() {
        assert_eq!(
            [0, 999, 1000, 999_949, 999_950, 38_000_000].map(bytes),
            ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "38.0 MB"]
        );
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        assert_eq!(
            [1, 12, 1234, 1_234_567].map(grouped),
            ["1", "12", "1,234", "1,234,567"]
        );
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
    }

    #[test]
    fn spans_and_sizes_are_read_or_refused() {
        assert_eq!(parse_span("36h").unwrap(), chrono::TimeDelta::hours(36));
        assert_eq!(parse_span("2w").unwrap(), chrono::TimeDelta::days(14));
        for text in [
            "",
            "h",
            "36",
            "-1h",
            "1.5h",
            "36x",
            "9999999999999999999d",
            "9223372036854775807w",
        ] {
            assert!(parse_span(text).is_err(), "{text}");
        }
        assert_eq!(parse_size("1.5M").unwrap(), 1_500_000);
        assert_eq!(parse_size("64KiB").unwrap(), 65_536);
        for text in ["", "M", "0", "-1", "1.2.3M", "1T", "NaN"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_nearest_name_is_a_slip_away() {
        assert_eq!(nearest("k8", ["k9", "trail"]), Some("k9"));
        assert_eq!(nearest("trial", ["k9", "trail"]), Some("trail"));
        assert_eq!(nearest("inbox", ["k9", "trail"]), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
