//! Where a person types: a line editor on a terminal that can be drawn on, plain lines elsewhere.

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
    sync::Arc,
};

use reedline::{
    Completer, Emacs, IdeMenu, InputMode, KeyCode, KeyModifiers, MenuBuilder, Prompt,
    PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline, ReedlineEvent,
    ReedlineMenu, Signal, Span, StyledText, Suggestion, ValidationResult, Validator,
    default_emacs_keybindings,
};
use tokio::task::JoinHandle;

use super::{
    complete::Completions,
    highlight::Colours,
    history::{self, Hints},
    names::Names,
    script,
    terminal::KeptKeys,
    watch::Watch,
};
use crate::{context::Context, error::CliError, printer::Printer};

const MENU: &str = "completions";
/// Lines of the menu.
const MENU_HEIGHT: u16 = 12;
/// Columns of the menu, at least: one that opens before its values have come keeps its width when they do.
const MENU_WIDTH: u16 = 28;

/// What came of a prompt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Complete statements or dot commands.
    Text(String),
    /// Ctrl-C: what was typed is gone.
    Cancelled,
    /// Ctrl-D, or the end of the input.
    End,
    /// SIGTERM.
    Terminated,
}

/// The place to type in.
pub(super) enum Lines {
    /// With editing, colours, completion, history.
    Edited(Box<Edited>),
    /// Where the terminal is dumb or the result goes elsewhere: nothing but lines.
    Plain(Plain),
}

/// The editor and what it needs to ask for parameters.
pub(super) struct Edited {
    editor: Reedline,
    names: Arc<Names>,
    watch: Watch,
    has_colours: bool,
    keys: KeptKeys,
}

impl Lines {
    /// Chooses the editor where the screen is a terminal on all three sides.
    pub(super) fn open(names: &Arc<Names>, watch: &Watch, cx: &Context) -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if is_dumb || !io::stdout().is_terminal() || !cx.printer.stderr_is_terminal() {
            return Self::Plain(Plain {
                watch: watch.clone(),
                waiting: None,
            });
        }
        let has_colours = cx.printer.look().styled;
        let mut editor = base(has_colours, Box::new(Completions::new(Arc::clone(names))))
            .with_highlighter(Box::new(Colours::new(Arc::clone(names))))
            .with_validator(Box::new(Complete))
            .with_hinter(Box::<Hints>::default())
            .with_history_exclusion_prefix(Some(" ".into()))
            .with_break_signal(Arc::clone(&watch.leave_editor));
        if let Some(path) = history::path() {
            match history::open(&path) {
                Ok(history) => editor = editor.with_history(history),
                Err(error) => {
                    let told =
                        CliError::new(format!("cannot use the history `{}`", path.display()));
                    let told = told.cause(&error).one_line();
                    cx.printer
                        .warn(&format!("{told}; what is typed now is not kept"));
                }
            }
        }
        Self::Edited(Box::new(Edited {
            editor,
            names: Arc::clone(names),
            watch: watch.clone(),
            has_colours,
            keys: KeptKeys::new(),
        }))
    }

    /// Reads until what was typed is complete.
    pub(super) async fn read(&mut self, prompt: &str, printer: &Printer) -> Result<Read, CliError> {
        match self {
            Self::Edited(edited) => edited.read(prompt),
            Self::Plain(plain) => plain.read(prompt, printer).await,
        }
    }

    /// Runs what reads from the terminal itself.
    pub(super) fn lend<T>(&self, run: impl FnOnce() -> T) -> T {
        match self {
            Self::Edited(edited) => edited.keys.lend(run),
            Self::Plain(_) => run(),
        }
    }

    /// Asks for the value of a parameter; `None` when nobody wants to give one.
    pub(super) async fn ask(
        &mut self,
        question: &str,
        param: &str,
        printer: &Printer,
    ) -> Result<Option<String>, CliError> {
        match self {
            Self::Edited(edited) => edited.ask(question, param),
            Self::Plain(plain) => {
                printer.prompt(&format!("{question}: "));
                Ok(match plain.line().await? {
                    Line::Text(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
                    Line::End | Line::Interrupted => None,
                })
            }
        }
    }
}

/// An editor with completion and the usual keys.
fn base(has_colours: bool, completer: Box<dyn Completer + Send>) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let next = vec![ReedlineEvent::Menu(MENU.into()), ReedlineEvent::MenuNext];
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(next),
    );
    keys.add_binding(
        KeyModifiers::SHIFT,
        KeyCode::BackTab,
        ReedlineEvent::MenuPrevious,
    );
    // An editor of files would be a program, and safe mode starts none.
    keys.remove_binding(KeyModifiers::CONTROL, KeyCode::Char('o'));
    let menu = IdeMenu::default()
        .with_name(MENU)
        .with_marker("> ")
        .with_max_completion_height(MENU_HEIGHT)
        .with_min_completion_width(MENU_WIDTH)
        .with_correct_cursor_pos(true)
        .with_input_mode(InputMode::FullBuffer);
    Reedline::create()
        .with_ansi_colors(has_colours)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_completer(completer)
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .use_bracketed_paste(true)
}

/// How often a terminal that does not answer is asked again, two seconds each.
const MOST_TRIES: usize = 5;

impl Edited {
    fn read(&mut self, prompt: &str) -> Result<Read, CliError> {
        let prompt = ShellPrompt(prompt.to_owned());
        let read = match patiently(|| self.editor.read_line(&prompt))? {
            Signal::Success(text) => Read::Text(text),
            Signal::CtrlD => Read::End,
            Signal::ExternalBreak(_) if self.watch.is_over() => Read::Terminated,
            _ => Read::Cancelled,
        };
        // Other shells see it at once, and nothing is lost if this one is killed. One that cannot be written is kept
        // in memory.
        let _unsaved = self.editor.sync_history();
        Ok(read)
    }

    fn ask(&mut self, question: &str, param: &str) -> Result<Option<String>, CliError> {
        let values = ParamCompletions {
            names: Arc::clone(&self.names),
            param: param.to_owned(),
        };
        let mut editor = base(self.has_colours, Box::new(values))
            .with_highlighter(Box::new(Uncoloured))
            .with_break_signal(Arc::clone(&self.watch.leave_editor));
        let prompt = ShellPrompt(question.to_owned());
        Ok(match patiently(|| editor.read_line(&prompt))? {
            Signal::Success(text) => Some(text),
            _ => None,
        })
    }
}

/// A slow terminal takes longer than the editor waits to say where the cursor stands: it is asked again. What was
/// typed meanwhile is kept.
fn patiently(mut read: impl FnMut() -> io::Result<Signal>) -> Result<Signal, CliError> {
    let is_slow = |error: &io::Error| error.to_string().contains("cursor position");
    let mut tries = 0;
    loop {
        match read() {
            Err(error) if is_slow(&error) && tries < MOST_TRIES => tries += 1,
            read => return read.map_err(|error| cannot_read(&error)),
        }
    }
}

fn cannot_read(error: &io::Error) -> CliError {
    CliError::new("cannot read from the terminal")
        .cause(error)
        .hint("TERM=dumb makes `kennel sql` read plain lines")
}

/// Lines from standard input, each read in a thread of its own so that Ctrl-C is heard meanwhile.
pub(super) struct Plain {
    watch: Watch,
    waiting: Option<JoinHandle<io::Result<String>>>,
}

enum Line {
    Text(String),
    End,
    Interrupted,
}

impl Plain {
    async fn line(&mut self) -> Result<Line, CliError> {
        let read_line = || {
            tokio::task::spawn_blocking(|| {
                let mut line = String::new();
                io::stdin().read_line(&mut line)?;
                Ok(line)
            })
        };
        let waiting = self.waiting.get_or_insert_with(read_line);
        let line = tokio::select! {
            biased;
            () = self.watch.interrupted() => return Ok(Line::Interrupted),
            line = waiting => line,
        };
        self.waiting = None;
        let line = line
            .map_err(io::Error::other)
            .flatten()
            .map_err(|e| CliError::new("cannot read standard input").cause(&e))?;
        Ok(match line.as_str() {
            "" => Line::End,
            _ => Line::Text(line),
        })
    }

    async fn read(&mut self, prompt: &str, printer: &Printer) -> Result<Read, CliError> {
        let mut text = String::new();
        let mut prompt = format!("{prompt}> ");
        loop {
            printer.prompt(&prompt);
            match self.line().await? {
                Line::Interrupted if self.watch.is_over() => return Ok(Read::Terminated),
                Line::Interrupted => {
                    printer.prompt("\n");
                    return Ok(Read::Cancelled);
                }
                Line::End => {
                    printer.prompt("\n");
                    return Ok(Read::End);
                }
                Line::Text(line) => text.push_str(&line),
            }
            if script::is_complete(&text) {
                return Ok(Read::Text(text));
            }
            prompt = format!("{:>width$}", "...> ", width = prompt.len());
        }
    }
}

/// `kennel> `, and `   ...> ` below it.
struct ShellPrompt(String);

impl Prompt for ShellPrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        let width = crate::text::width(&self.0) + 2;
        Cow::Owned(format!("{:>width$}", "...> "))
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing with ",
        };
        Cow::Owned(format!(
            " ({failing}`{}`)> ",
            crate::text::visible(&search.term)
        ))
    }
}

/// Enter runs what is complete and begins a line otherwise.
struct Complete;

impl Validator for Complete {
    fn validate(&self, text: &str) -> ValidationResult {
        if script::is_complete(text) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

/// Values of the columns that are called as a parameter is.
struct ParamCompletions {
    names: Arc<Names>,
    param: String,
}

impl Completer for ParamCompletions {
    fn complete(&mut self, line: &str, pos: usize) -> Vec<Suggestion> {
        let words = self.names.words();
        let tables = words
            .tables
            .iter()
            .filter(|table| table.schema != "kennel")
            .collect::<Vec<_>>();
        let typed = line.get(..pos).unwrap_or_default().to_lowercase();
        let (values, wanted) = match words.values(&tables, &self.param) {
            Ok(values) => (values.to_vec(), None),
            Err(wanted) => (vec![], wanted),
        };
        drop(words);
        if let Some(id) = wanted {
            self.names.want(id);
        }
        let near = values
            .into_iter()
            .filter(|value| value.to_lowercase().contains(&typed));
        near.take(200)
            .map(|value| Suggestion {
                value,
                span: Span::new(0, pos),
                ..Suggestion::default()
            })
            .collect()
    }

    fn has_pending(&mut self) -> bool {
        self.names.is_loading()
    }

    fn check_pending(&mut self) -> bool {
        self.names.take_news()
    }
}

/// A value is data: nothing in it has a colour.
struct Uncoloured;

impl reedline::Highlighter for Uncoloured {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        styled.push((nu_ansi_term::Style::new(), super::highlight::shown(line)));
        styled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of the editor's terminal library, which has no kind of its own for them.
    fn slow() -> io::Error {
        io::Error::other("The cursor position could not be read within a normal duration")
    }

    #[test]
    fn a_slow_terminal_is_asked_again_and_a_lost_one_is_not() {
        let mut answers = vec![Ok(Signal::CtrlD), Err(slow()), Err(slow())];
        let read = patiently(|| answers.pop().unwrap());
        assert!(matches!(read, Ok(Signal::CtrlD)) && answers.is_empty());

        let mut tries = 0;
        let mut count = |error: fn() -> io::Error| {
            tries = 0;
            let read = patiently(|| {
                tries += 1;
                Err(error())
            });
            assert!(read.is_err());
            tries
        };
        assert_eq!(count(slow), MOST_TRIES + 1);
        assert_eq!(count(|| io::ErrorKind::BrokenPipe.into()), 1);
    }
}
