//! What the dot commands do.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use datafusion::physical_plan::memory::MemoryStream;
use kennel_engine::{AsOf, CannedQuery, Engine, LAST_RESULT, Outcome, ParamValues};

use super::{
    dot::{self, COMMANDS, Command, Spec},
    plan,
    screen::shell,
    session::{Flow, LINE_MODE, MOST_SHOWN_ROWS, Mode, Session, Timer, Width},
};
use crate::{
    commands::questions::parse_param,
    error::CliError,
    output::Format,
    text::{counted, nearest, visible},
};

/// What `.snapshots` asks.
const SNAPSHOTS: &str = "SELECT snapshot_id, source, taken_at, added_count, changed_count, missing_count, object_count FROM kennel.snapshots ORDER BY taken_at DESC, source";
/// What `.last` asks.
const LAST: &str = "SELECT * FROM \"default\".\"_\"";

impl Session<'_> {
    /// Does what a dot command says.
    pub(super) async fn obey(&mut self, line: &str) -> Result<Flow, CliError> {
        let (spec, rest) = dot::parse(line)?;
        if self.options.is_safe && spec.is_unsafe {
            return Err(CliError::new(format!("safe mode forbids `.{}`", spec.name)));
        }
        let rest = match spec.command {
            Command::Shell | Command::Explain => rest,
            _ => rest.trim_end_matches(';').trim_end(),
        };
        match spec.command {
            Command::Quit => return Ok(Flow::Quit),
            Command::Read => {
                let path = self.path(rest, spec)?;
                return Box::pin(self.read(&path)).await;
            }
            Command::Help => self.page(&help(rest)?)?,
            Command::Tables => self.tables(rest).await?,
            Command::Columns if rest.is_empty() => self.tables("").await?,
            Command::Columns => self.columns(rest).await?,
            Command::Schema => self.schema(rest).await?,
            Command::List => self.list(rest)?,
            Command::Run => self.run(rest, spec).await?,
            Command::Explain => self.explain(rest, spec).await?,
            Command::Snapshots => self.snapshots().await?,
            Command::AsOf => self.as_of(rest)?,
            Command::Last => self.last().await?,
            Command::Param => self.param(rest, spec)?,
            Command::Shell => self.shell(rest, spec)?,
            Command::Cd => self.cd(rest)?,
            Command::Output => self.output(rest, spec)?,
            Command::Once => self.options.once = Some(file_name(rest, spec)?),
            _ => self.option(spec, rest)?,
        }
        Ok(Flow::Go)
    }

    /// Commands that set how results look.
    fn option(&mut self, spec: &Spec, rest: &str) -> Result<(), CliError> {
        let options = &mut self.options;
        let wrong = || {
            usage(
                spec,
                &format!("`{rest}` is not what `.{}` takes", spec.name),
            )
        };
        let told = match (spec.command, rest) {
            (Command::Safe, _) => {
                options.is_safe = true;
                "safe mode: no files are written or read, no programs started, until you leave"
                    .to_owned()
            }
            (Command::Mode, "") => format!("mode {}", mode_name(options.mode)),
            (Command::Mode, name) => {
                options.mode = mode(name)?;
                options.unturned = options.mode;
                return Ok(());
            }
            (Command::Turn, _) => {
                options.mode = match options.mode {
                    Mode::Line if options.unturned == Mode::Line => Mode::Format(Format::Table),
                    Mode::Line => options.unturned,
                    turned => {
                        options.unturned = turned;
                        Mode::Line
                    }
                };
                format!("mode {}", mode_name(options.mode))
            }
            (Command::Timer, "") => {
                let is_off = options.timer == Timer::Off;
                options.timer = if is_off { Timer::On } else { Timer::Off };
                format!("timer {}", if is_off { "on" } else { "off" })
            }
            (Command::Timer, word) => {
                options.timer = match word {
                    "on" => Timer::On,
                    "off" => Timer::Off,
                    "verbose" => Timer::Verbose,
                    _ => return Err(wrong()),
                };
                return Ok(());
            }
            (Command::MaxRows, "") => match options.max_rows {
                Some(count) => format!("{} at most", counted(count as u64, "row")),
                None => "as many rows as suit the screen".into(),
            },
            (Command::MaxRows, word) => {
                let count = match word {
                    "all" | "0" | "-1" => MOST_SHOWN_ROWS,
                    number => number.replace(',', "").parse().map_err(|_| wrong())?,
                };
                options.max_rows = Some(count.min(MOST_SHOWN_ROWS));
                return Ok(());
            }
            (Command::Width, "") => match options.width {
                Width::Auto => "tables are as wide as the screen".into(),
                Width::Off => "tables are as wide as their rows".into(),
                Width::Columns(count) => {
                    format!("tables are {} wide", counted(count as u64, "column"))
                }
            },
            (Command::Width, word) => {
                options.width = match word {
                    "auto" => Width::Auto,
                    "off" | "0" => Width::Off,
                    number => Width::Columns(number.parse::<usize>().map_err(|_| wrong())?.max(20)),
                };
                return Ok(());
            }
            (Command::Pager, _) => return self.pager(rest),
            _ => return Err(wrong()),
        };
        self.cx.printer.info(&told);
        Ok(())
    }

    fn pager(&mut self, rest: &str) -> Result<(), CliError> {
        let options = &mut self.options;
        match rest {
            "" => {}
            "off" => options.is_paging = false,
            "on" => {
                options.pager = options.pager.take().or_else(super::screen::usual_pager);
                if options.pager.is_none() {
                    return Err(CliError::new("there is no pager").hint(
                        "install `less`, set KENNEL_PAGER, or name one with `.pager COMMAND`",
                    ));
                }
                options.is_paging = true;
            }
            _ if options.is_safe => return Err(CliError::new("safe mode forbids another pager")),
            command => {
                options.pager = Some(command.to_owned());
                options.is_paging = true;
            }
        }
        if rest.is_empty() {
            let told = match &options.pager {
                Some(pager) if options.is_paging => format!("pager on: {pager}"),
                Some(pager) => format!("pager off ({pager})"),
                None => "pager off: there is none".into(),
            };
            self.cx.printer.info(&told);
        }
        Ok(())
    }

    fn output(&mut self, rest: &str, spec: &Spec) -> Result<(), CliError> {
        self.options.output = match rest {
            "" | "stdout" => None,
            name => Some((file_name(name, spec)?, 0)),
        };
        Ok(())
    }

    fn path(&self, rest: &str, spec: &Spec) -> Result<PathBuf, CliError> {
        Ok(self.options.folder.join(file_name(rest, spec)?))
    }

    fn cd(&mut self, rest: &str) -> Result<(), CliError> {
        if !rest.is_empty() {
            let folder = self.options.folder.join(expanded(&one_word(rest)?));
            if !folder.is_dir() {
                return Err(CliError::new(format!(
                    "`{}` is no folder",
                    folder.display()
                )));
            }
            self.options.folder = folder;
            self.tell_names();
        }
        let folder = std::path::absolute(self.options.folder.join(".")).unwrap_or_default();
        self.cx.printer.info(&folder.display().to_string());
        Ok(())
    }

    fn shell(&self, rest: &str, spec: &Spec) -> Result<(), CliError> {
        if rest.is_empty() {
            return Err(usage(spec, "a command is missing"));
        }
        let mut command = shell(rest, &self.options.folder);
        let status = match &self.lines {
            Some(lines) => lines.lend(|| command.status()),
            None => command.status(),
        };
        let status =
            status.map_err(|e| CliError::new("cannot start the system's shell").cause(&e))?;
        if !status.success() {
            self.cx.printer.info(&status.to_string());
        }
        Ok(())
    }

    fn param(&mut self, rest: &str, spec: &Spec) -> Result<(), CliError> {
        let words = dot::words(rest)?;
        let words = words.iter().map(String::as_str).collect::<Vec<_>>();
        match words.as_slice() {
            [] | ["list"] => {
                let values = &self.values.0;
                let lines = values
                    .iter()
                    .map(|(name, value)| format!("${name} = {}\n", visible(value)));
                let text = lines.collect::<String>();
                return match text.is_empty() {
                    true => {
                        self.cx.printer.info("no parameter has a value");
                        Ok(())
                    }
                    false => self.page(&text),
                };
            }
            ["clear" | "unset"] => self.values.0.clear(),
            ["clear" | "unset", name] => {
                let name = param_name(name);
                if self.values.0.remove(&name).is_none() {
                    return Err(CliError::new(format!("parameter `{name}` has no value")));
                }
            }
            ["set", name, value] | [name, value] => {
                self.values.0.insert(param_name(name), (*value).to_owned());
            }
            [pair] if pair.contains('=') => {
                let (name, value) = parse_param(pair).map_err(CliError::new)?;
                self.values.0.insert(param_name(&name), value);
            }
            _ => return Err(usage(spec, "a parameter has a name and one value")),
        }
        self.tell_names();
        Ok(())
    }

    fn as_of(&mut self, rest: &str) -> Result<(), CliError> {
        if !rest.is_empty() {
            let as_of = match rest {
                "latest" | "off" | "now" => None,
                text => Some(text.parse::<AsOf>()?),
            };
            let mut settings = self.settings.clone();
            settings.as_of = as_of;
            let engine = self.cx.engine(settings.clone())?;
            let engine = Arc::new(engine.with_prepared_of(&self.engine));
            engine.keep(self.engine.kept())?;
            self.settings = settings;
            self.as_of = as_of.map(|_| rest.to_owned());
            self.engine = engine;
            if let Some(names) = &self.names {
                names.reload(&self.engine);
            }
        }
        let told = match &self.as_of {
            Some(as_of) => format!("answers are as of {as_of}; `.as-of latest` goes back"),
            None => "answers are of the newest state".into(),
        };
        self.cx.printer.info(&told);
        Ok(())
    }

    async fn snapshots(&mut self) -> Result<(), CliError> {
        for statement in Engine::statements(SNAPSHOTS)? {
            let (engine, now) = (Arc::clone(&self.engine), self.cx.now());
            let work = async move {
                Ok(engine
                    .execute(&statement, &ParamValues::default(), now)
                    .await?)
            };
            Box::pin(self.execute(work, None)).await?;
        }
        Ok(())
    }

    async fn run(&mut self, rest: &str, spec: &Spec) -> Result<(), CliError> {
        let words = dot::words(rest)?;
        let Some((id, pairs)) = words.split_first() else {
            return Err(usage(spec, "the id of a query is missing"));
        };
        let query = self.engine.library().find(id)?.clone();
        let mut given = ParamValues::default();
        for pair in pairs {
            let (name, value) = parse_param(pair).map_err(CliError::new)?;
            given.0.insert(param_name(&name), value);
        }
        Box::pin(self.canned(query, given)).await
    }

    async fn explain(&mut self, rest: &str, spec: &Spec) -> Result<(), CliError> {
        let (analyze, text) = match rest.split_once(char::is_whitespace) {
            Some((word, text)) if word.eq_ignore_ascii_case("analyze") => (true, text.trim()),
            _ => (false, rest),
        };
        if text.is_empty() {
            return Err(usage(spec, "a statement or the id of a query is missing"));
        }
        let (engine, now) = (Arc::clone(&self.engine), self.cx.now());
        let mut values = self.values.clone();
        if !text.contains(char::is_whitespace) {
            let query = engine.library().find(text.trim_end_matches(';'))?.clone();
            values
                .0
                .retain(|name, _| query.params.iter().any(|param| param.name == *name));
            let word = if analyze {
                "EXPLAIN ANALYZE"
            } else {
                "EXPLAIN"
            };
            let explained = CannedQuery {
                sql: format!("{word} {}", query.sql),
                ..query
            };
            let work = async move {
                let answer = engine.run(&explained, &values).await?;
                Ok(Outcome::Answer(plan::by_lines(answer).await?))
            };
            return Box::pin(self.execute(work, None)).await;
        }
        for statement in Engine::statements(text)? {
            let (engine, values) = (Arc::clone(&engine), values.clone());
            let work = async move {
                match engine.explain(&statement, analyze, &values, now).await? {
                    Outcome::Answer(answer) => Ok(Outcome::Answer(plan::by_lines(answer).await?)),
                    done => Ok(done),
                }
            };
            Box::pin(self.execute(work, None)).await?;
        }
        Ok(())
    }

    /// `_` once more, whole.
    async fn last(&mut self) -> Result<(), CliError> {
        let Some(kept) = self.engine.kept() else {
            return Err(CliError::new(format!(
                "there is no last result in `{LAST_RESULT}`"
            )));
        };
        let before = self.options.max_rows.replace(MOST_SHOWN_ROWS);
        let (engine, now, shown) = (Arc::clone(&self.engine), self.cx.now(), kept.clone());
        let work = async move {
            // The statement is asked for what the rows lack; they themselves keep their order and names.
            let statements = Engine::statements(LAST)?;
            let Some(statement) = statements.first() else {
                return Err(CliError::new("there is no last result"));
            };
            let outcome = engine
                .execute(statement, &ParamValues::default(), now)
                .await?;
            let Outcome::Answer(mut answer) = outcome else {
                return Ok(outcome);
            };
            answer.schema = Arc::clone(&shown.schema);
            let stream = MemoryStream::try_new(shown.batches, shown.schema, None);
            answer.stream = Box::pin(stream.map_err(CliError::from_execution)?);
            Ok(Outcome::Answer(answer))
        };
        let done = Box::pin(self.execute(work, None)).await;
        self.options.max_rows = before;
        self.engine.keep(Some(kept))?;
        done
    }
}

fn mode(name: &str) -> Result<Mode, CliError> {
    if [LINE_MODE, "lines", "vertical", "expanded"].contains(&name) {
        return Ok(Mode::Line);
    }
    let plain = if name == "box" || name == "duckbox" {
        "table"
    } else {
        name
    };
    Format::from_str(plain, true)
        .map(Mode::Format)
        .map_err(|_| {
            let names = dot::mode_names();
            let told = CliError::new(format!("there is no mode `{name}`"));
            match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => told.hint(format!("did you mean `{near}`?")),
                None => told.hint(format!("modes: {}", names.join(", "))),
            }
        })
}

fn mode_name(mode: Mode) -> String {
    match mode {
        Mode::Line => LINE_MODE.into(),
        Mode::Format(format) => {
            let value = format.to_possible_value();
            value.map_or_else(String::new, |value| value.get_name().to_owned())
        }
    }
}

fn usage(spec: &Spec, what: &str) -> CliError {
    CliError::new(what.to_owned()).hint(
        format!(".{} {}", spec.name, spec.usage)
            .trim_end()
            .to_owned(),
    )
}

/// A parameter as people write it in the SQL, or without its sign.
fn param_name(name: &str) -> String {
    name.trim_start_matches(['$', ':']).to_lowercase()
}

fn one_word(rest: &str) -> Result<String, CliError> {
    Ok(dot::words(rest)?.join(" "))
}

fn file_name(rest: &str, spec: &Spec) -> Result<PathBuf, CliError> {
    match dot::words(rest)?.as_slice() {
        [] => Err(usage(spec, "a file name is missing")),
        words => Ok(expanded(&words.join(" "))),
    }
}

/// `~/x` is below the home folder.
fn expanded(name: &str) -> PathBuf {
    let below = name
        .strip_prefix("~/")
        .or_else(|| (name == "~").then_some(""));
    match (below, directories::BaseDirs::new()) {
        (Some(below), Some(dirs)) => dirs.home_dir().join(below),
        _ => Path::new(name).to_owned(),
    }
}

/// The commands that a word is about.
fn help(word: &str) -> Result<String, CliError> {
    let exact = dot::find(word).or_else(|| dot::find(&format!(".{word}")));
    let lower = word.trim_start_matches(['.', '\\']).to_lowercase();
    let is_about = |spec: &&Spec| match exact {
        Some(exact) => spec.name == exact.name,
        None => spec.name.contains(&lower) || spec.help.to_lowercase().contains(&lower),
    };
    let chosen = COMMANDS.iter().filter(is_about).collect::<Vec<_>>();
    if chosen.is_empty() {
        return Err(
            CliError::new(format!("no command is about `{word}`")).hint("`.help` lists them")
        );
    }
    let call = |spec: &Spec| format!(".{} {}", spec.name, spec.usage);
    let width = chosen
        .iter()
        .map(|spec| call(spec).len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for spec in &chosen {
        let also = match spec.aliases {
            [] => String::new(),
            aliases => format!(" ({})", aliases.join(", ")),
        };
        let _infallible = writeln!(text, "{:width$}  {}{also}", call(spec), spec.help);
    }
    if word.is_empty() {
        text.push_str(
            "\nStatements end with `;`. Tab completes, Ctrl-R searches the history, Ctrl-C cancels, Ctrl-D leaves.\n`_` is the last result as a table. A line that begins with a space is not kept in the history.\n",
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_the_names_that_people_know() {
        assert_eq!(mode("line").unwrap(), Mode::Line);
        assert_eq!(mode("CSV").unwrap(), Mode::Format(Format::Csv));
        assert_eq!(mode("box").unwrap(), Mode::Format(Format::Table));
        assert_eq!(mode("jsn").unwrap_err().hints(), ["did you mean `json`?"]);
    }

    #[test]
    fn help_is_about_a_word_or_a_command() {
        assert!(help("").unwrap().lines().count() > COMMANDS.len());
        assert!(help("\\dt").unwrap().starts_with(".tables"));
        assert!(help("athena").unwrap().starts_with(".timer"));
        assert!(help("frobnicate").is_err());
    }
}
