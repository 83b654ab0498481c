//! What a result took, and what Athena would have charged for it.

use std::time::Duration;

use kennel_engine::{ReadSoFar, SourceBytes};

use crate::text::{bytes, counted, grouped};

/// Athena's price in US East (N. Virginia) and most other regions.
///
/// Source: AWS, "Amazon Athena pricing": 5.00 USD per TB of data scanned.
const USD_PER_TB: f64 = 5.0;
/// Source: the same page: "rounded up to the nearest megabyte, with a 10 MB minimum per query".
const LEAST_MB: u64 = 10;
const MB: u64 = 1_000_000;

/// `13 rows, 0.012 s, 1.2 MB read`.
pub(super) fn footer(row_count: Option<u64>, took: Duration, read: &ReadSoFar) -> String {
    let mut parts = Vec::new();
    parts.extend(row_count.map(|count| counted(count, "row")));
    parts.push(match took.as_secs() {
        0..10 => format!("{:.3} s", took.as_secs_f64()),
        _ => crate::text::duration(took),
    });
    parts.push(format!("{} read", bytes(read.bytes)));
    parts.join(", ")
}

/// What a scan of the same objects would have cost there.
pub(super) fn athena(source: SourceBytes) -> String {
    if source.bytes == 0 {
        return "Athena: no object of a source is behind this result".into();
    }
    let charged_mb = source.bytes.div_ceil(MB).max(LEAST_MB);
    let dollars = charged_mb as f64 / 1_000_000.0 * USD_PER_TB;
    let about = if source.is_estimate { "about " } else { "" };
    format!(
        "Athena would scan {about}{} of objects and charge for {} MB: {dollars:.5} USD (5 USD per TB, 10 MB at least; prices \
         differ by region, and of Parquet only the columns read are charged)",
        bytes(source.bytes),
        grouped(charged_mb),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_scans_cost_ten_megabytes_and_large_ones_what_they_are() {
        let told = |bytes| {
            athena(SourceBytes {
                bytes,
                is_estimate: false,
            })
        };
        assert!(told(300_000).starts_with(
            "Athena would scan 300.0 kB of objects and charge for 10 MB: 0.00005 USD"
        ));
        assert!(told(2_000_000_000_000).contains("charge for 2,000,000 MB: 10.00000 USD"));
        assert!(told(0).contains("no object"));
    }

    #[test]
    fn a_footer_says_rows_time_and_bytes() {
        let read = ReadSoFar {
            bytes: 1_200_000,
            ..ReadSoFar::default()
        };
        assert_eq!(
            footer(Some(13), Duration::from_millis(12), &read),
            "13 rows, 0.012 s, 1.2 MB read"
        );
        assert_eq!(
            footer(None, Duration::from_secs(75), &read),
            "1 min 15 s, 1.2 MB read"
        );
    }
}
