//! What a shell remembers between statements, and how it executes one: parameters asked for, progress shown,
//! Ctrl-C heeded, the result brought to where it belongs, and kept as `_`.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use kennel_engine::{
    CannedQuery, Engine, EngineSettings, Outcome, ParamValues, Reading, Statement,
};

use super::{
    Setup,
    bar::Bar,
    editor::Lines,
    names::Names,
    screen::usual_pager,
    script::{self, Item},
    watch::Watch,
};
use crate::{
    cli::ProgressChoice,
    commands::{questions::Verdict, sql::pointed},
    context::Context,
    error::CliError,
    exit::Exit,
    output::Format,
};

/// The mode of `\x`.
pub(super) const LINE_MODE: &str = "line";
/// Rows of a table that are held at once, whatever is asked for.
pub(super) const MOST_SHOWN_ROWS: usize = 100_000;
/// `.read` within `.read`.
const DEEPEST: usize = 16;

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Format(Format),
    /// One line a value.
    Line,
}

/// What is said after a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    Off,
    On,
    Verbose,
}

/// How wide a table may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Auto,
    Off,
    Columns(usize),
}

/// What commands can change.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) mode: Mode,
    /// The mode that `\x` goes back to.
    pub(super) unturned: Mode,
    pub(super) timer: Timer,
    pub(super) max_rows: Option<usize>,
    pub(super) width: Width,
    pub(super) is_paging: bool,
    pub(super) pager: Option<String>,
    pub(super) is_safe: bool,
    pub(super) once: Option<PathBuf>,
    /// Where results go, and how many went there.
    pub(super) output: Option<(PathBuf, usize)>,
    /// Where file names begin.
    pub(super) folder: PathBuf,
}

/// Whether the shell goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    Quit,
}

/// A shell, or a script with dot commands.
pub(super) struct Session<'a> {
    pub(super) cx: &'a Context,
    pub(super) engine: Arc<Engine>,
    pub(super) settings: EngineSettings,
    /// As it was asked for.
    pub(super) as_of: Option<String>,
    pub(super) values: ParamValues,
    pub(super) options: Options,
    /// Where a person types; `None` in a script.
    pub(super) lines: Option<Lines>,
    pub(super) names: Option<Arc<Names>>,
    watch: Watch,
    pub(super) verdict: Verdict,
    depth: usize,
    pub(super) has_hinted: bool,
    /// Results that a script has written to standard output.
    pub(super) written_count: usize,
}

impl<'a> Session<'a> {
    /// Opens the engine. A shell pages and tells the time; a script does what `kennel sql` does.
    pub(super) fn open(setup: Setup, is_shell: bool, cx: &'a Context) -> Result<Self, CliError> {
        let engine = Arc::new(cx.engine(setup.settings.clone())?);
        let watch = Watch::start();
        let mode = Mode::Format(setup.format);
        let names = is_shell.then(|| Names::load(&engine));
        let lines = names.as_ref().map(|names| Lines::open(names, &watch, cx));
        let pager = is_shell.then(usual_pager).flatten();
        let session = Self {
            cx,
            engine,
            settings: setup.settings,
            as_of: setup.as_of,
            values: setup.values,
            options: Options {
                mode,
                unturned: mode,
                timer: if is_shell { Timer::On } else { Timer::Off },
                max_rows: None,
                width: Width::Auto,
                is_paging: pager.is_some(),
                pager,
                is_safe: setup.is_safe,
                once: None,
                output: setup.output.map(|path| (path, 0)),
                folder: PathBuf::new(),
            },
            lines,
            names,
            watch,
            verdict: Verdict::default(),
            depth: 0,
            has_hinted: false,
            written_count: 0,
        };
        session.tell_names();
        Ok(session)
    }

    /// Whether a person sits before it.
    pub(super) fn is_shell(&self) -> bool {
        self.lines.is_some()
    }

    /// The exit code of a script.
    pub(super) fn exit(&self) -> Exit {
        self.verdict.exit()
    }

    /// Whether SIGTERM came.
    pub(super) fn is_over(&self) -> bool {
        self.watch.is_over()
    }

    /// What stands before the cursor: the state that answers, if it is not the newest, and what is forbidden.
    pub(super) fn prompt(&self) -> String {
        let mut prompt = "kennel".to_owned();
        if let Some(as_of) = &self.as_of {
            prompt.push_str(&format!(" ({})", crate::text::visible(as_of)));
        }
        if self.options.is_safe {
            prompt.push_str(" safe");
        }
        prompt
    }

    /// Completion learns which parameters have values, and where files are looked for.
    pub(super) fn tell_names(&self) {
        if let Some(names) = &self.names {
            let mut words = names.words();
            words.params = self.values.0.keys().cloned().collect();
            words.folder.clone_from(&self.options.folder);
        }
    }

    /// Executes statements and dot commands in turn.
    ///
    /// In a shell an error is told and ends its statement; an interrupt ends the rest of what was typed. A script
    /// ends with the first error.
    pub(super) async fn run_text(&mut self, text: &str) -> Result<Flow, CliError> {
        for item in script::items(text) {
            match Box::pin(self.item(&item)).await {
                Ok(Flow::Go) => {}
                Ok(Flow::Quit) => return Ok(Flow::Quit),
                Err(error) if self.is_shell() && self.depth == 0 => {
                    self.tell(&error);
                    if error.exit() == Exit::Interrupted {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Flow::Go)
    }

    async fn item(&mut self, item: &Item<'_>) -> Result<Flow, CliError> {
        if item.is_dot {
            return self.obey(item.text).await;
        }
        if script::is_farewell(item.text) {
            return Ok(Flow::Quit);
        }
        for statement in Engine::statements(item.text)? {
            let done = self.statement(&statement).await;
            match done {
                Err(error)
                    if self.is_shell() && self.depth == 0 && error.exit() != Exit::Interrupted =>
                {
                    self.tell(&error);
                }
                done => done?,
            }
        }
        Ok(Flow::Go)
    }

    /// Tells a failure; a query that was cancelled did not fail.
    pub(super) fn tell(&self, error: &CliError) {
        if error.exit() == Exit::Interrupted {
            self.cx.printer.info("cancelled");
        } else {
            self.cx.printer.error(error);
        }
    }

    /// The statements and commands of a file, until one fails.
    pub(super) async fn read(&mut self, path: &Path) -> Result<Flow, CliError> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| CliError::new(format!("cannot read `{}`", path.display())).cause(&e))?;
        if self.depth == DEEPEST {
            return Err(CliError::new(format!(
                "`{}` is read by itself, {DEEPEST} times over",
                path.display()
            )));
        }
        self.depth += 1;
        let mut done = Ok(Flow::Go);
        for item in script::items(&text) {
            done = Box::pin(self.item(&item)).await.map_err(|error| {
                let (file, line) = (path.display(), item.line);
                let place = format!("this happened in `{file}`, in what begins on line {line}");
                match error.exit() {
                    Exit::Interrupted => error,
                    _ if error.hints().contains(&place) => error,
                    _ => error.hint(place),
                }
            });
            if !matches!(done, Ok(Flow::Go)) {
                break;
            }
        }
        self.depth -= 1;
        done
    }

    async fn statement(&mut self, statement: &Statement) -> Result<(), CliError> {
        self.refuse_changes(statement.text())?;
        let mut values = self.values.clone();
        for name in Engine::parameters(statement) {
            if !values.0.contains_key(&name)
                && let Some(value) = self.ask(&name, "").await?
            {
                values.0.insert(name, value);
            }
        }
        let now = self.cx.now();
        let engine = Arc::clone(&self.engine);
        let work = async move {
            let outcome = engine.execute(statement, &values, now).await;
            outcome.map_err(|error| pointed(error, statement))
        };
        Box::pin(self.execute(work, None)).await
    }

    /// Runs a canned query with the parameters of the session that it has, and those given.
    pub(super) async fn canned(
        &mut self,
        query: CannedQuery,
        given: ParamValues,
    ) -> Result<(), CliError> {
        let mut values = given;
        for param in &query.params {
            if values.0.contains_key(&param.name) {
                continue;
            }
            let known = self.values.0.get(&param.name).cloned();
            let value = match known {
                None if param.required => {
                    let about = format!("{}, {}", param.param_type.as_str(), param.help);
                    self.ask(&param.name, &about).await?
                }
                known => known,
            };
            if let Some(value) = value {
                values.0.insert(param.name.clone(), value);
            }
        }
        let title = format!("{}: {}", query.id, query.title);
        let engine = Arc::clone(&self.engine);
        let work = async move { Ok(Outcome::Answer(engine.run(&query, &values).await?)) };
        Box::pin(self.execute(work, Some(&title))).await
    }

    /// Asks for the value of a parameter; a script cannot ask.
    async fn ask(&mut self, name: &str, about: &str) -> Result<Option<String>, CliError> {
        let Some(lines) = &mut self.lines else {
            return Ok(None);
        };
        if !about.is_empty() {
            self.cx.printer.info(&format!("${name}: {about}"));
        }
        let question = crate::text::visible(&format!("${name}")).into_owned();
        match lines.ask(&question, name, &self.cx.printer).await? {
            Some(value) => Ok(Some(value)),
            None => Err(CliError::interrupted("no value was given")),
        }
    }

    /// In safe mode the catalog stays as it is, too.
    fn refuse_changes(&self, text: &str) -> Result<(), CliError> {
        // What a prepared statement does is not known before it is executed.
        let changes = [
            "create", "drop", "alter", "msck", "insert", "unload", "prepare", "execute",
        ];
        let first = crate::commands::sql::first_word(text);
        if self.options.is_safe && changes.iter().any(|word| first.eq_ignore_ascii_case(word)) {
            return Err(CliError::new(format!(
                "safe mode forbids {}",
                first.to_uppercase()
            )));
        }
        Ok(())
    }

    /// Waits for an outcome and shows it, with a bar, until it is done or Ctrl-C is pressed.
    pub(super) async fn execute(
        &mut self,
        work: impl Future<Output = Result<Outcome, CliError>>,
        title: Option<&str>,
    ) -> Result<(), CliError> {
        let cx = self.cx;
        let printer = &cx.printer;
        let wanted = self.is_shell()
            && printer.stderr_is_terminal()
            && !printer.is_quiet()
            && cx.settings.progress.value == ProgressChoice::Auto;
        let bar = RefCell::new(Bar::new(printer, wanted));
        let reading = RefCell::new(None);
        let watch = self.watch.clone();
        let interrupted = watch.interrupted();
        let shown = async {
            let started = Instant::now();
            match work.await? {
                Outcome::Answer(answer) => {
                    *reading.borrow_mut() = Some(answer.reading.clone());
                    self.show(answer, started, title, &bar).await
                }
                Outcome::Unload(unload) => {
                    *reading.borrow_mut() = Some(unload.answer.reading.clone());
                    let written = Box::pin(crate::commands::unload::write(unload, cx)).await;
                    bar.borrow_mut().stop();
                    self.lacks(&written?);
                    Ok(())
                }
                Outcome::Done {
                    message,
                    notes,
                    caveats,
                } => {
                    bar.borrow_mut().stop();
                    self.lacks(&caveats);
                    self.done(&message, &notes);
                    Ok(())
                }
            }
        };
        let shown = with_ticks(&bar, &reading, shown);
        let done = tokio::select! {
            biased;
            () = interrupted => Err(CliError::interrupted("interrupted")),
            done = shown => done,
        };
        bar.borrow_mut().stop();
        match done {
            // The reader of the pager has seen enough.
            Err(error) if self.is_shell() && error.exit() == Exit::Done => Ok(()),
            done => done,
        }
    }

    /// Says what rows that were written lack.
    fn lacks(&self, caveats: &[kennel_engine::Caveat]) {
        Verdict::default().caveats(caveats, self.cx);
    }

    fn done(&self, message: &str, notes: &[String]) {
        self.cx.printer.info(message);
        for note in notes {
            self.cx.printer.info(&format!("note: {note}"));
        }
        // A table may have come or gone.
        if let Some(names) = &self.names {
            names.reload(&self.engine);
        }
    }
}

/// Lets the bar move while the work goes on.
async fn with_ticks<T>(
    bar: &RefCell<Bar<'_>>,
    reading: &RefCell<Option<Reading>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => bar.borrow_mut().tick(reading.borrow().as_ref()),
        }
    }
}
