//! The shell of `kennel sql`: an editor with completion and history, dot commands, and a session that
//! remembers. The same session runs scripts that hold dot commands, without asking and without colours.
//!
//! [`script`] takes text apart, [`dot`] knows the commands and [`obey`] does them, [`session`] executes
//! statements; [`editor`] is the only place that reads keys, [`screen`] the one that writes results to a terminal.

mod bar;
mod complete;
mod dot;
mod editor;
mod highlight;
mod history;
mod keep;
mod keywords;
mod lines;
mod listing;
mod meter;
mod names;
mod obey;
mod plan;
pub(crate) mod scan;
mod screen;
mod script;
mod session;
mod show;
mod terminal;
mod types;
mod watch;

use std::path::PathBuf;

use kennel_engine::{EngineSettings, ParamValues};

use self::{
    editor::Read,
    session::{Flow, Session},
};
use crate::{context::Context, error::CliError, exit::Exit, output::Format};

pub(crate) use script::has_dots;

/// What a shell or a script begins with.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Customers, accounts and the time asked for.
    pub(crate) settings: EngineSettings,
    /// The time as it was written.
    pub(crate) as_of: Option<String>,
    /// `--param`.
    pub(crate) values: ParamValues,
    /// `--format`.
    pub(crate) format: Format,
    /// `--output`.
    pub(crate) output: Option<PathBuf>,
    /// `--safe`.
    pub(crate) is_safe: bool,
    /// Whether the file of commands to begin with is read.
    pub(crate) reads_rc: bool,
}

/// Talks with a person until they leave.
///
/// # Errors
/// A cache that cannot be opened, a terminal that cannot be read, SIGTERM. What fails in a statement is told
/// and ends nothing.
pub(crate) async fn converse(setup: Setup, cx: &Context) -> Result<Exit, CliError> {
    let reads_rc = setup.reads_rc && !setup.is_safe;
    let mut session = Session::open(setup, true, cx)?;
    cx.printer.info(&format!(
        "kennel {}: statements end with `;`, `.help` lists the commands, Ctrl-D leaves",
        env!("CARGO_PKG_VERSION")
    ));
    if reads_rc && let Some(path) = rc_files().into_iter().find(|path| path.is_file()) {
        match Box::pin(session.read(&path)).await {
            Ok(Flow::Go) => {}
            Ok(Flow::Quit) => return Ok(Exit::Done),
            Err(error) => session.tell(&error),
        }
    }
    loop {
        let prompt = session.prompt();
        let Some(lines) = &mut session.lines else {
            return Ok(Exit::Done);
        };
        match lines.read(&prompt, &cx.printer).await? {
            Read::Text(text) => {
                if session.run_text(&text).await? == Flow::Quit {
                    return Ok(Exit::Done);
                }
            }
            Read::Cancelled => {}
            Read::End => return Ok(Exit::Done),
            Read::Terminated => return Err(CliError::interrupted("terminated")),
        }
        if session.is_over() {
            return Err(CliError::interrupted("terminated"));
        }
    }
}

/// Runs a script with dot commands; the first error ends it.
///
/// # Errors
/// As of a statement, and a dot command that cannot be done.
pub(crate) async fn run_script(text: &str, setup: Setup, cx: &Context) -> Result<Exit, CliError> {
    let mut session = Session::open(setup, false, cx)?;
    session.run_text(text).await?;
    Ok(session.exit())
}

/// Where commands to begin with may stand; the first file that exists counts.
fn rc_files() -> Vec<PathBuf> {
    let dirs = directories::BaseDirs::new();
    let places = dirs.iter().flat_map(|dirs| {
        [
            dirs.home_dir().join(".kennelrc"),
            dirs.config_dir().join("kennel").join("kennelrc"),
        ]
    });
    places.collect()
}
