//! Standard output and standard error: stdout is data, stderr is conversation. Nothing else writes to either.

use std::{
    borrow::Cow,
    io::{self, BufWriter, IsTerminal, StdoutLock, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use chrono::SecondsFormat;
use indicatif::MultiProgress;

use crate::{
    cli::ColorChoice,
    clock,
    error::{CliError, Label},
    output::Look,
    redact::Redactor,
    text::visible,
};

/// Rows of a table that a terminal gets.
const TERMINAL_ROWS: usize = 40;
/// A terminal that does not say how wide it is.
const USUAL_WIDTH: usize = 80;

/// Talks to people, and hands out the stream for data.
#[derive(Debug)]
pub(crate) struct Printer {
    quiet: bool,
    verbosity: u8,
    color_stdout: bool,
    color_stderr: bool,
    /// Whether lines on standard error are JSON objects, as the log's are.
    json: bool,
    /// The bars that a line must not run into.
    bars: Mutex<Option<MultiProgress>>,
    /// What lines go through, once results are to be redacted.
    redactor: OnceLock<Arc<Redactor>>,
}

impl Printer {
    /// Decides colours: `--color`, then `NO_COLOR`, then whether it is a terminal that knows colours.
    pub(crate) fn new(color: ColorChoice, quiet: bool, verbosity: u8) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colored = |is_terminal: bool| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => is_terminal && !set("NO_COLOR") && !dumb,
        };
        Self {
            quiet,
            verbosity,
            color_stdout: colored(io::stdout().is_terminal()),
            color_stderr: colored(io::stderr().is_terminal()),
            json: false,
            bars: Mutex::new(None),
            redactor: OnceLock::new(),
        }
    }

    /// Writes lines for machines: what it tells has the form of the log beside it.
    pub(crate) fn with_json(mut self, json: bool) -> Self {
        self.json = json;
        self
    }

    /// The stream for data; flush it, and take its errors seriously.
    pub(crate) fn stdout(&self) -> BufWriter<StdoutLock<'static>> {
        BufWriter::with_capacity(64 * 1024, io::stdout().lock())
    }

    /// How tables on standard output are to look.
    pub(crate) fn look(&self) -> Look {
        let terminal_width = io::stdout().is_terminal().then(|| {
            let size = terminal_size::terminal_size_of(io::stdout());
            size.map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0))
                .max(20)
        });
        Look {
            terminal_width,
            max_rows: TERMINAL_ROWS,
            advice: true,
            styled: self.color_stdout,
        }
    }

    /// Whether a person sees standard error as it is written.
    pub(crate) fn stderr_is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Whether `-q` was given.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// How often `-v` was given.
    pub(crate) fn verbosity(&self) -> u8 {
        self.verbosity
    }

    /// A line of text on standard output, for commands whose result is text.
    pub(crate) fn data(&self, text: &str) -> Result<(), CliError> {
        let mut out = self.stdout();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }

    /// What was done; silent with `-q`.
    pub(crate) fn info(&self, text: &str) {
        if !self.quiet {
            self.say("INFO", "message", text, |text| text.to_owned());
        }
    }

    /// What a command came to: a line for people, and its facts for machines; silent with `-q`.
    pub(crate) fn outcome(&self, text: &str, facts: &serde_json::Value) {
        if self.quiet {
            return;
        }
        match self.json {
            true => self.event("INFO", "message", text, facts),
            false => self.line(&visible(text)),
        }
    }

    /// Detail that `-v` asks for.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbosity > 0 && !self.quiet {
            self.say("DEBUG", "message", text, |text| text.to_owned());
        }
    }

    /// What the answer lacks, what the user must act on: told even with `-q`.
    pub(crate) fn warn(&self, text: &str) {
        self.say("WARN", "message", text, |text| {
            format!("{} {text}", self.paint(Label::Warning))
        });
    }

    /// Advice; silent with `-q`.
    pub(crate) fn hint(&self, text: &str) {
        if !self.quiet {
            self.say("INFO", "hint", text, |text| {
                format!("{} {text}", self.paint(Label::Hint))
            });
        }
    }

    /// A failure with its chain.
    pub(crate) fn error(&self, error: &CliError) {
        if self.json && !error.is_quiet() {
            // One event, however many lines it is for people.
            let line = error.one_line();
            let redacted = self.redactor.get().map(|redactor| redactor.failure(&line));
            self.say(
                "ERROR",
                "message",
                redacted.as_deref().unwrap_or(&line),
                str::to_owned,
            );
            for hint in error.hints() {
                self.say("INFO", "hint", hint, str::to_owned);
            }
            return;
        }
        for line in error.lines(|label| self.paint(label)) {
            match self.redactor.get() {
                // Only what fails while it runs quotes values of the data.
                Some(redactor) if line.starts_with("  caused by: ") => {
                    self.line(&redactor.failure(&line));
                }
                _ => self.line(&line),
            }
        }
    }

    /// A name without a form of its own, as a line may show it.
    pub(crate) fn named<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match self.redactor.get() {
            Some(redactor) => Cow::Owned(redactor.name(name)),
            None => Cow::Borrowed(name),
        }
    }

    /// From now on lines are redacted; the first redactor stays.
    pub(crate) fn set_redactor(&self, redactor: Arc<Redactor>) {
        let _there_is_one = self.redactor.set(redactor);
    }

    /// A question without a line break, for who types plain lines.
    pub(crate) fn prompt(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        // Nobody is there to be asked: reading the answer will end, too.
        let _unseen = stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush());
    }

    /// From now on lines are written above these bars; `None` when they are gone.
    pub(crate) fn set_bars(&self, bars: Option<MultiProgress>) {
        *self.bars.lock().unwrap_or_else(PoisonError::into_inner) = bars;
    }

    /// A line: for people as they see it, for machines as an event of the log.
    fn say(&self, level: &str, field: &str, text: &str, for_people: impl Fn(&str) -> String) {
        let text = visible(text);
        if !self.json {
            self.line(&for_people(&text));
            return;
        }
        self.event(level, field, &text, &serde_json::Value::Null);
    }

    /// An event in the form of the log beside it.
    fn event(&self, level: &str, field: &str, text: &str, facts: &serde_json::Value) {
        let mut fields = serde_json::Map::from_iter([(field.to_owned(), visible(text).into())]);
        if let Some(facts) = facts.as_object() {
            fields.extend(facts.clone());
        }
        let event = serde_json::json!({
            "timestamp": clock::now().to_rfc3339_opts(SecondsFormat::Micros, true),
            "level": level,
            "fields": fields,
            "target": "kennel",
        });
        self.line(&event.to_string());
    }

    fn line(&self, text: &str) {
        let redacted = self.redactor.get().map(|redactor| redactor.text(text));
        let text = redacted.as_deref().unwrap_or(text);
        let write = || {
            let mut stderr = io::stderr().lock();
            // A closed standard error must not end a run that writes data elsewhere.
            let _unseen = stderr.write_all(format!("{text}\n").as_bytes());
        };
        match self
            .bars
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
        {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    fn paint(&self, label: Label) -> String {
        let (code, word) = match label {
            Label::Error => ("1;31", "error:"),
            Label::Warning => ("1;33", "warning:"),
            Label::Hint => ("1;36", "hint:"),
        };
        if self.color_stderr {
            format!("\u{1b}[{code}m{word}\u{1b}[0m")
        } else {
            word.into()
        }
    }
}
