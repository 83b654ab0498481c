//! Progress of a sync: bars on a terminal, lines with `-v`, JSON lines with `--json`, or nothing.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kennel_mirror::{SyncEvent, SyncObserver};

use crate::{
    cli::ProgressChoice,
    printer::Printer,
    text::{bytes, grouped},
};

/// Shows what a sync does.
pub(crate) struct Progress<'a> {
    printer: &'a Printer,
    form: Form,
    done_count: AtomicU64,
    fetch_count: AtomicU64,
}

enum Form {
    Silent,
    Lines,
    Json,
    Bars {
        multi: MultiProgress,
        bar: ProgressBar,
    },
}

impl<'a> Progress<'a> {
    /// Chooses the form: `--json`, then bars where a person watches, then lines.
    pub(crate) fn new(
        source: &str,
        choice: ProgressChoice,
        json: bool,
        printer: &'a Printer,
    ) -> Self {
        let watched =
            choice == ProgressChoice::Auto && printer.stderr_is_terminal() && !printer.is_quiet();
        let form = if json {
            Form::Json
        } else if watched {
            let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let bar = multi.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner} {prefix}: {msg}"));
            bar.set_prefix(source.to_owned());
            bar.set_message("listing");
            bar.enable_steady_tick(Duration::from_millis(120));
            printer.set_bars(Some(multi.clone()));
            Form::Bars { multi, bar }
        } else if printer.verbosity() > 0 {
            Form::Lines
        } else {
            Form::Silent
        };
        Self {
            printer,
            form,
            done_count: AtomicU64::new(0),
            fetch_count: AtomicU64::new(0),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Form::Bars { multi, bar } = &self.form {
            bar.finish_and_clear();
            self.printer.set_bars(None);
            // A terminal that is gone has nothing to clear.
            let _unseen = multi.clear();
        }
    }
}

impl SyncObserver for Progress<'_> {
    fn event(&self, event: &SyncEvent) {
        match &self.form {
            Form::Silent => {}
            Form::Json => self.json(event),
            Form::Lines => self.line(event),
            Form::Bars { bar, .. } => self.bar(bar, event),
        }
    }
}

impl Progress<'_> {
    fn json(&self, event: &SyncEvent) {
        // Progress within an object is for eyes.
        if matches!(event, SyncEvent::Progress { .. }) {
            return;
        }
        if let Ok(line) = serde_json::to_string(event) {
            // Who no longer listens does not end a sync.
            let _unheard = self.printer.data(&line);
        }
    }

    fn line(&self, event: &SyncEvent) {
        match event {
            SyncEvent::Fetched { key, size_bytes } => self
                .printer
                .detail(&format!("fetched {key} ({})", bytes(*size_bytes))),
            SyncEvent::Retrying {
                key,
                attempt,
                reason,
            } => self
                .printer
                .detail(&format!("retrying {key}, attempt {attempt}: {reason}")),
            SyncEvent::Failed { key, message } => {
                self.printer.detail(&format!("failed {key}: {message}"));
            }
            _ => {}
        }
    }

    fn bar(&self, bar: &ProgressBar, event: &SyncEvent) {
        match event {
            SyncEvent::Listing { listed } => {
                bar.set_message(format!("listing, {} objects", grouped(*listed)));
            }
            SyncEvent::Planned {
                fetch_count,
                fetch_bytes,
            } => {
                bar.set_style(style(
                    "{prefix}: {bar:30} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}, {msg}",
                ));
                bar.set_length(*fetch_bytes);
                bar.set_position(0);
                bar.reset_eta();
                bar.set_message(format!("0/{} objects", grouped(*fetch_count)));
                self.done_count.store(0, Ordering::Relaxed);
                self.fetch_count.store(*fetch_count, Ordering::Relaxed);
            }
            SyncEvent::Progress { bytes } => bar.inc(*bytes),
            SyncEvent::Fetched { .. } => {
                let done = self.done_count.fetch_add(1, Ordering::Relaxed) + 1;
                let all = self.fetch_count.load(Ordering::Relaxed);
                bar.set_message(format!("{}/{} objects", grouped(done), grouped(all)));
            }
            _ => {}
        }
    }
}
