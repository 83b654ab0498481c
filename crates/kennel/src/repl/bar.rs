//! Progress of a query: rows, bytes and an estimate, once it takes longer than people wait unasked.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kennel_engine::{ReadSoFar, Reading};

use crate::{
    printer::Printer,
    text::{bytes, duration, grouped},
};

/// Before that nothing is shown.
const PATIENCE: Duration = Duration::from_millis(500);
/// Parts of the bar.
const PARTS: u64 = 1_000;
/// Below this no estimate is made.
const TOO_LITTLE: f64 = 0.02;

/// A bar on standard error.
pub(super) struct Bar<'a> {
    printer: &'a Printer,
    started: Instant,
    is_wanted: bool,
    drawn: Option<(MultiProgress, ProgressBar)>,
}

impl<'a> Bar<'a> {
    /// Begins to count the time.
    pub(super) fn new(printer: &'a Printer, is_wanted: bool) -> Self {
        Self {
            printer,
            started: Instant::now(),
            is_wanted,
            drawn: None,
        }
    }

    /// Shows how far the query is.
    pub(super) fn tick(&mut self, reading: Option<&Reading>) {
        let elapsed = self.started.elapsed();
        if !self.is_wanted || elapsed < PATIENCE {
            return;
        }
        let (_, bar) = self.drawn.get_or_insert_with(|| {
            let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let bar = multi.add(ProgressBar::new(PARTS));
            let style = ProgressStyle::with_template("{spinner} {bar:20} {msg}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("━╸─"),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            self.printer.set_bars(Some(multi.clone()));
            (multi, bar)
        });
        let read = reading.map(Reading::so_far).unwrap_or_default();
        bar.set_position((read.fraction() * PARTS as f64) as u64);
        bar.set_message(message(&read, elapsed));
    }

    /// Takes the bar away for good: something else has come onto the screen.
    pub(super) fn stop(&mut self) {
        self.is_wanted = false;
        if let Some((multi, bar)) = self.drawn.take() {
            bar.finish_and_clear();
            self.printer.set_bars(None);
            // A terminal that is gone has nothing to clear.
            let _unseen = multi.clear();
        }
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// `1,234,567 of at most 2,000,000 rows, 12.3 MB, 1.4 s, about 3 s left`.
fn message(read: &ReadSoFar, elapsed: Duration) -> String {
    let mut parts = Vec::new();
    if read.rows_at_most > 0 {
        let rows = grouped(read.rows.min(read.rows_at_most));
        parts.push(format!(
            "{rows} of at most {} rows",
            grouped(read.rows_at_most)
        ));
    }
    parts.push(format!("{} read", bytes(read.bytes)));
    parts.push(duration(elapsed));
    let fraction = read.fraction();
    if (TOO_LITTLE..1.0).contains(&fraction) {
        let left = elapsed.mul_f64((1.0 - fraction) / fraction);
        parts.push(format!("about {} left", duration(left)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_rows_bytes_and_an_estimate() {
        let read = ReadSoFar {
            bytes: 12_300_000,
            rows: 500_000,
            rows_at_most: 2_000_000,
            files: 0,
            files_at_most: 2,
        };
        assert_eq!(
            message(&read, Duration::from_secs(12)),
            "500,000 of at most 2,000,000 rows, 12.3 MB read, 12 s, about 36 s left"
        );
        assert_eq!(
            message(&ReadSoFar::default(), Duration::from_secs(1)),
            "0 B read, 1.0 s"
        );
    }
}
