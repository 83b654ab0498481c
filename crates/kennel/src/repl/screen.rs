//! Standard output as a screen: what is larger than it goes to a pager, and what writers for machines leave in
//! their data is made harmless before a terminal sees it.

use std::{
    cell::RefCell,
    io::{self, BufWriter, IsTerminal, StdoutLock, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::bar::Bar;
use crate::{
    printer::Printer,
    text::{visible, width},
};

/// What git gives `less`, too: keep colours, leave the screen as it is, cut long lines.
const LESS_OPTIONS: &str = "SRFX";
/// Lines that a screen keeps for the prompt and the notes below a result.
const RESERVED_LINES: usize = 3;

/// The program that pages: `KENNEL_PAGER`, `PAGER`, or `less` if it is there. `cat` and nothing page nothing.
pub(super) fn usual_pager() -> Option<String> {
    let set = |name| std::env::var(name).ok();
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return None;
    }
    let named = set("KENNEL_PAGER").or_else(|| set("PAGER"));
    let named = named.or_else(|| on_path("less").then(|| "less".to_owned()));
    named.filter(|command| !["", "cat", "off"].contains(&command.trim()))
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A command for the system's shell.
pub(super) fn shell(command: &str, folder: &Path) -> Command {
    let (program, flag) = if cfg!(windows) {
        ("cmd", "/C")
    } else {
        ("sh", "-c")
    };
    let mut shell = Command::new(program);
    shell.arg(flag).arg(command);
    if !folder.as_os_str().is_empty() {
        shell.current_dir(folder);
    }
    shell
}

/// How a screen is to behave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner<'a> {
    /// The program for what is larger than the screen.
    pub(super) pager: Option<&'a str>,
    /// Whether the pager may start programs.
    pub(super) is_safe: bool,
    /// Whether the text was made safe where it was written. What is no terminal gets every byte as it is.
    pub(super) is_shown_as_is: bool,
}

/// A place for one result.
pub(super) struct Screen<'a, 'b> {
    manner: Manner<'a>,
    out: BufWriter<StdoutLock<'static>>,
    is_terminal: bool,
    child: Option<Child>,
    /// Whole lines that nobody has seen yet.
    held: String,
    line_count: usize,
    size: (usize, usize),
    /// A line whose end has not come.
    partial: Vec<u8>,
    last_line: String,
    bar: Option<&'a RefCell<Bar<'b>>>,
}

impl<'a, 'b> Screen<'a, 'b> {
    pub(super) fn new(
        printer: &Printer,
        manner: Manner<'a>,
        bar: Option<&'a RefCell<Bar<'b>>>,
    ) -> Self {
        let size = terminal_size::terminal_size_of(io::stdout());
        let is_terminal = io::stdout().is_terminal();
        Self {
            manner: Manner {
                pager: manner.pager.filter(|_| is_terminal),
                ..manner
            },
            out: printer.stdout(),
            is_terminal,
            child: None,
            held: String::new(),
            line_count: 0,
            size: size.map_or((80, 24), |(w, h)| (w.0.into(), h.0.into())),
            partial: Vec::new(),
            last_line: String::new(),
            bar,
        }
    }

    /// Shows what is held; waits for the reader of the pager. Gives back whether there was a pager.
    pub(super) fn finish(&mut self) -> io::Result<bool> {
        if !self.partial.is_empty() {
            let rest = std::mem::take(&mut self.partial);
            self.line(&rest)?;
        }
        if self.child.is_some() {
            self.close();
            return Ok(true);
        }
        self.clear_bar();
        self.out.write_all(self.held.as_bytes())?;
        self.held.clear();
        self.out.flush()?;
        Ok(false)
    }

    /// The last line that was written.
    pub(super) fn last_line(&self) -> &str {
        &self.last_line
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let shown = match self.manner.is_shown_as_is {
            true => text.to_owned(),
            // Lines of CSV end with both; a terminal needs one.
            false => visible(text.strip_suffix('\r').unwrap_or(text)).into_owned(),
        };
        self.last_line.clone_from(&shown);
        let mut whole = shown;
        whole.push('\n');
        if let Some(child) = &mut self.child {
            return match child.stdin.as_mut() {
                Some(stdin) => stdin.write_all(whole.as_bytes()),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            };
        }
        let Some(pager) = self.manner.pager else {
            self.clear_bar();
            return self.out.write_all(whole.as_bytes());
        };
        let wrapped = match self.manner.is_shown_as_is {
            true => 0,
            false => width(&whole) / self.size.0.max(1),
        };
        self.line_count += 1 + wrapped;
        self.held.push_str(&whole);
        if self.line_count + RESERVED_LINES > self.size.1 {
            self.start(pager)?;
        }
        Ok(())
    }

    fn start(&mut self, pager: &str) -> io::Result<()> {
        self.clear_bar();
        self.out.flush()?;
        let mut command = shell(pager, Path::new(""));
        command.stdin(Stdio::piped());
        if std::env::var_os("LESS").is_none() {
            command.env("LESS", LESS_OPTIONS);
        }
        if self.manner.is_safe {
            command.env("LESSSECURE", "1");
        }
        let held = std::mem::take(&mut self.held);
        match command.spawn() {
            Ok(mut child) => {
                let written = child
                    .stdin
                    .as_mut()
                    .map(|stdin| stdin.write_all(held.as_bytes()));
                self.child = Some(child);
                written.unwrap_or(Ok(()))
            }
            // Without the pager the result is shown all the same.
            Err(_) => {
                self.manner.pager = None;
                self.out.write_all(held.as_bytes())
            }
        }
    }

    fn close(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            // However it ended: the reader has seen enough.
            let _ended = child.wait();
        }
    }

    fn clear_bar(&self) {
        if let Some(bar) = self.bar {
            bar.borrow_mut().stop();
        }
    }
}

impl Write for Screen<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.out.write(bytes);
        }
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(at + 1);
            if self.partial.is_empty() {
                self.line(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole)?;
            }
            rest = after;
        }
        self.partial.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Screen<'_, '_> {
    fn drop(&mut self) {
        self.close();
    }
}
