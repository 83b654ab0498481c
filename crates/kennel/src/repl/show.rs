//! From a running answer to where its rows belong: the screen, a file, the end of a file; and into `_`.

use std::{
    cell::RefCell,
    io::{self, IsTerminal, Seek, Write},
    path::Path,
    time::{Duration, Instant},
};

use datafusion::{arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream};
use kennel_engine::{Answer, Reading};

use super::{
    bar::Bar,
    keep::Keeper,
    lines::LineWriter,
    meter,
    screen::{Manner, Screen},
    session::{Mode, Session, Timer, Width},
};
use crate::{
    commands::questions::Verdict,
    error::CliError,
    output::{self, Format, Look, ResultWriter, target::Target},
};

/// Rows that a pager gets of a table.
const PAGED_ROWS: usize = 10_000;

/// A result on its way.
struct Sink<'a> {
    schema: SchemaRef,
    stream: SendableRecordBatchStream,
    title: Option<&'a str>,
}

/// A result that has come to its place.
struct Seen {
    row_count: u64,
    took: Duration,
    was_paged: bool,
}

impl Seen {
    fn filed(row_count: u64, started: Instant) -> Self {
        Self {
            row_count,
            took: started.elapsed(),
            was_paged: false,
        }
    }
}

impl Session<'_> {
    /// Brings a result to its place, keeps it as `_`, says what it took.
    pub(super) async fn show(
        &mut self,
        answer: Answer,
        started: Instant,
        title: Option<&str>,
        bar: &RefCell<Bar<'_>>,
    ) -> Result<(), CliError> {
        let Answer {
            stream,
            caveats,
            reading,
            schema,
            ..
        } = answer;
        if self.is_shell() {
            self.verdict = Verdict::default();
        }
        self.verdict.caveats(&caveats, self.cx);
        let (stream, keeper) = Keeper::watch(stream, &caveats);
        let sink = Sink {
            schema,
            stream,
            title,
        };
        let is_filed = self.options.once.is_some() || self.options.output.is_some();
        let seen = match self.options.once.take() {
            Some(path) => Seen::filed(self.to_file(sink, &path, "result").await?, started),
            None if is_filed => Seen::filed(self.put_out(sink).await?, started),
            None => self.put_on_screen(sink, started, bar).await?,
        };
        bar.borrow_mut().stop();
        // What was said before it has scrolled away.
        if seen.was_paged {
            Verdict::default().caveats(&caveats, self.cx);
        }
        self.keep(keeper);
        // Tables and lines end with their count.
        let says_count = !is_filed && self.is_own_form();
        let count = (!says_count).then_some(seen.row_count);
        self.tell_costs(count, seen.took, &reading)
    }

    fn keep(&self, keeper: Keeper) {
        let outcome = keeper.finish();
        let note = match self.engine.keep(outcome.result) {
            Ok(()) => outcome.note,
            Err(error) => Some(error.to_string()),
        };
        if let Some(note) = note.filter(|_| self.is_shell()) {
            self.cx.printer.info(&note);
        }
    }

    fn is_own_form(&self) -> bool {
        matches!(self.options.mode, Mode::Line | Mode::Format(Format::Table))
    }

    fn tell_costs(
        &self,
        count: Option<u64>,
        took: Duration,
        reading: &Reading,
    ) -> Result<(), CliError> {
        if self.options.timer == Timer::Off {
            return Ok(());
        }
        self.cx
            .printer
            .info(&meter::footer(count, took, &reading.so_far()));
        if self.options.timer == Timer::Verbose {
            let source = self.engine.source_bytes(reading)?;
            self.cx.printer.info(&meter::athena(source));
        }
        Ok(())
    }

    async fn put_on_screen(
        &mut self,
        sink: Sink<'_>,
        started: Instant,
        bar: &RefCell<Bar<'_>>,
    ) -> Result<Seen, CliError> {
        if let Mode::Format(format) = self.options.mode
            && matches!(format.extension(), "xlsx" | "parquet")
            && io::stdout().is_terminal()
        {
            return Err(
                CliError::new(format!("{} is nothing to look at", format.extension()))
                    .hint("`.once FILE` writes the next result to a file, `.mode table` shows it"),
            );
        }
        // In a shell results are looked at one by one; a script's output is read by a program.
        let follows = !self.is_shell() && self.written_count > 0;
        if follows && !self.format().joins() {
            let kind = self.format().extension();
            return Err(CliError::new(format!(
                "several results cannot stand in one stream of {kind}"
            ))
            .hint("`.once FILE` before each, or `-o FOLDER`, writes one file each"));
        }
        self.written_count += 1;
        let look = self.look();
        let mut writer = self.writer(&sink.schema, look);
        let is_own = self.is_own_form();
        let mut screen = Screen::new(&self.cx.printer, self.manner(is_own), Some(bar));
        if follows {
            writeln!(screen)?;
        }
        let row_count =
            output::write_stream(sink.stream, writer.as_mut(), sink.title, &mut screen).await?;
        // The time that a person reads in the pager is theirs.
        let took = started.elapsed();
        let was_paged = screen.finish()?;
        let footer = screen.last_line().to_owned();
        drop(screen);
        let is_cut = is_own && footer.starts_with('(') && footer.contains("; ");
        if is_cut && self.is_shell() && !self.has_hinted {
            self.has_hinted = true;
            self.cx.printer.hint("`\\x` shows one line a value, `.width off` whole rows, `.maxrows N` more of them, `.once FILE` writes all");
        }
        Ok(Seen {
            row_count,
            took,
            was_paged,
        })
    }

    /// How the screen behaves.
    pub(super) fn manner(&self, is_shown_as_is: bool) -> Manner<'_> {
        Manner {
            pager: self
                .options
                .pager
                .as_deref()
                .filter(|_| self.options.is_paging),
            is_safe: self.options.is_safe,
            is_shown_as_is,
        }
    }

    /// How tables look.
    pub(super) fn look(&self) -> Look {
        let look = self.cx.printer.look();
        let max_rows = match self.options.max_rows {
            Some(count) => count,
            None if self.options.is_paging => PAGED_ROWS,
            None => look.max_rows,
        };
        let terminal_width = match self.options.width {
            Width::Auto => look.terminal_width,
            Width::Off => None,
            Width::Columns(count) => Some(count),
        };
        Look {
            terminal_width,
            max_rows,
            advice: look.advice && !self.is_shell(),
            ..look
        }
    }

    fn writer(&self, schema: &SchemaRef, look: Look) -> Box<dyn ResultWriter> {
        match self.options.mode {
            Mode::Format(format) => output::writer(format, schema, look),
            Mode::Line => {
                let most = look
                    .terminal_width
                    .map_or(u64::MAX, |_| look.max_rows as u64);
                Box::new(LineWriter::new(schema, most))
            }
        }
    }

    /// The format that says which file name and which neighbours a result may have.
    fn format(&self) -> Format {
        match self.options.mode {
            Mode::Format(format) => format,
            Mode::Line => Format::Table,
        }
    }

    async fn to_file(&self, sink: Sink<'_>, path: &Path, name: &str) -> Result<u64, CliError> {
        let path = self.options.folder.join(path);
        let mut target = Target::open(Some(&path), self.format(), &[name.to_owned()])?;
        let row_count = {
            let (mut out, look) = target.place(0, &self.cx.printer);
            let mut writer = self.writer(&sink.schema, look);
            let written = output::write_stream(sink.stream, writer.as_mut(), sink.title, &mut out);
            let row_count = written.await?;
            out.flush()?;
            row_count
        };
        for path in target.finish()? {
            self.cx.printer.info(&format!("wrote {}", path.display()));
        }
        Ok(row_count)
    }

    /// The first result replaces the file, those after it follow it, as far as its format lets them.
    async fn put_out(&mut self, sink: Sink<'_>) -> Result<u64, CliError> {
        let Some((path, count)) = self.options.output.clone() else {
            return Ok(0);
        };
        let place = self.options.folder.join(&path);
        let is_folder = place.is_dir() || path.as_os_str().to_string_lossy().ends_with(['/', '\\']);
        let row_count = if is_folder {
            self.to_file(sink, &path, &format!("result-{}", count + 1))
                .await?
        } else if count == 0 {
            self.to_file(sink, &path, "result").await?
        } else if self.format().joins() {
            self.append(sink, &place).await?
        } else {
            let kind = self.format().extension();
            return Err(CliError::new(format!(
                "`{}` has a result already, and {kind} holds one a file",
                path.display()
            ))
            .hint("`.output FOLDER/` writes one file each; `.output` alone ends it"));
        };
        self.options.output = Some((path, count + 1));
        Ok(row_count)
    }

    /// Adds a result to the end of a file, all of it or nothing.
    async fn append(&self, sink: Sink<'_>, path: &Path) -> Result<u64, CliError> {
        let mut spool = io::BufWriter::new(tempfile::tempfile()?);
        writeln!(spool)?;
        let mut writer = self.writer(&sink.schema, Look::default());
        let row_count =
            output::write_stream(sink.stream, writer.as_mut(), sink.title, &mut spool).await?;
        let mut spool = spool
            .into_inner()
            .map_err(|e| CliError::from(e.into_error()))?;
        spool.rewind()?;
        let cannot =
            |e: io::Error| CliError::new(format!("cannot write `{}`", path.display())).cause(&e);
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(cannot)?;
        io::copy(&mut spool, &mut file).map_err(cannot)?;
        self.cx
            .printer
            .info(&format!("added to {}", path.display()));
        Ok(row_count)
    }
}
