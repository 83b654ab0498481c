//! The program on a pseudo-terminal whose screen is emulated: keys go in, and what stands on the screen is looked
//! at when it has come. Nothing waits for a time, everything for a text.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZeroU16,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::pty::{Winsize, openpty};

use crate::home::TestHome;

/// A machine that is busy with other tests is slow; one that never answers must not block them.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a program asks to learn where the cursor is.
const WHERE_IS_THE_CURSOR: &[u8] = b"\x1b[6n";
/// Lines that have left the screen and are still compared.
const SCROLLBACK: usize = 2_000;

pub(crate) const ENTER: &str = "\r";
pub(crate) const TAB: &str = "\t";
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";
pub(crate) const CTRL_R: &str = "\x12";

/// What has come from the program.
struct Shown {
    screen: vt100::Parser,
    raw: Vec<u8>,
    has_ended: bool,
}

/// A running program and its screen.
pub(crate) struct Pty {
    child: Child,
    keys: File,
    shown: Arc<(Mutex<Shown>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Pty {
    /// Starts the program on a screen of so many columns and lines.
    pub(crate) fn start<'a>(
        home: &TestHome,
        (columns, lines): (u16, u16),
        args: impl IntoIterator<Item = &'a str>,
        variables: &[(&str, &str)],
    ) -> Self {
        let size = Winsize {
            ws_row: lines,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let terminal = openpty(&size, None).unwrap();
        let plain = home.command();
        let mut command = with_own_terminal(plain.get_program().as_ref());
        command
            .args(args)
            .current_dir(home.work())
            .env_clear()
            .envs(
                plain
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("TERM", "xterm-256color")
            .env("XDG_STATE_HOME", home.root().join("state"))
            .envs(variables.iter().copied())
            .stdin(Stdio::from(terminal.slave.try_clone().unwrap()))
            .stdout(Stdio::from(terminal.slave.try_clone().unwrap()))
            .stderr(Stdio::from(terminal.slave));
        let child = command.spawn().unwrap();
        // The ends of the slave that the command holds would keep the terminal open.
        drop(command);
        let master = File::from(terminal.master);
        let size = |number| NonZeroU16::new(number).unwrap();
        let shown = Arc::new((
            Mutex::new(Shown {
                screen: vt100::Parser::new(size(lines), size(columns), SCROLLBACK),
                raw: Vec::new(),
                has_ended: false,
            }),
            Condvar::new(),
        ));
        let keys = master.try_clone().unwrap();
        let reader = std::thread::spawn({
            let (shown, answers) = (Arc::clone(&shown), master.try_clone().unwrap());
            move || read(master, answers, &shown)
        });
        Self {
            child,
            keys,
            shown,
            reader: Some(reader),
        }
    }

    /// Types keys.
    pub(crate) fn keys(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Types a line.
    pub(crate) fn line(&mut self, line: &str) -> &mut Self {
        self.keys(line).keys(ENTER)
    }

    /// Waits until all texts stand on the screen, or have left it at the top.
    #[track_caller]
    pub(crate) fn sees(&mut self, texts: &[&str]) -> &mut Self {
        let found = self.wait(|shown| {
            let screen = contents(&mut shown.screen);
            texts.iter().all(|text| screen.contains(text))
        });
        assert!(found, "not all of {texts:?} came:\n{}", self.screen());
        self
    }

    /// Waits until the last line with anything on it is this one.
    #[track_caller]
    pub(crate) fn ends_with(&mut self, line: &str) -> &mut Self {
        let found = self.wait(|shown| {
            let screen = contents(&mut shown.screen);
            screen.trim_end().rsplit('\n').next().map(str::trim_end) == Some(line)
        });
        assert!(
            found,
            "the last line did not become {line:?}:\n{}",
            self.screen()
        );
        self
    }

    /// All lines, those that left the screen first.
    pub(crate) fn screen(&self) -> String {
        contents(&mut self.shown.0.lock().unwrap().screen)
    }

    /// Every byte that the program wrote.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.shown.0.lock().unwrap().raw.clone()
    }

    /// The process.
    pub(crate) fn id(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Waits until the program has ended; its exit code.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let found = self.wait(|shown| shown.has_ended);
        assert!(found, "the program did not end:\n{}", self.screen());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.child.wait().unwrap().code()
    }

    fn wait(&self, mut is_there: impl FnMut(&mut Shown) -> bool) -> bool {
        let (shown, changed) = &*self.shown;
        let deadline = Instant::now() + PATIENCE;
        let mut shown = shown.lock().unwrap();
        loop {
            if is_there(&mut shown) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || shown.has_ended {
                return false;
            }
            shown = changed.wait_timeout(shown, left).unwrap().0;
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// In a session of its own the program's terminal is this one, not that of whoever runs the tests, and Ctrl-C
/// is a signal. Where there is no `setsid`, it is a key and nothing more.
fn with_own_terminal(program: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let setsid = std::env::split_paths(&path).map(|folder| folder.join("setsid"));
    match setsid.into_iter().find(|file| file.is_file()) {
        Some(setsid) => {
            let mut command = Command::new(setsid);
            command.arg("--ctty").arg(program);
            command
        }
        None => Command::new(program),
    }
}

fn read(mut master: File, mut answers: File, shown: &(Mutex<Shown>, Condvar)) {
    let mut bytes = [0; 16 * 1024];
    // When the last end of the terminal is closed, reading is an error on Linux and an end elsewhere.
    while let Ok(count @ 1..) = master.read(&mut bytes) {
        let mut shown_now = shown.0.lock().unwrap();
        shown_now.raw.extend_from_slice(&bytes[..count]);
        let mut rest = &bytes[..count];
        while let Some(at) = rest
            .windows(WHERE_IS_THE_CURSOR.len())
            .position(|w| w == WHERE_IS_THE_CURSOR)
        {
            let (before, after) = rest.split_at(at);
            shown_now.screen.process(before);
            let (row, column) = shown_now.screen.screen().cursor_position();
            // A program that is gone does not listen.
            let _unheard = write!(answers, "\x1b[{};{}R", row + 1, column + 1);
            rest = &after[WHERE_IS_THE_CURSOR.len()..];
        }
        shown_now.screen.process(rest);
        shown.1.notify_all();
    }
    shown.0.lock().unwrap().has_ended = true;
    shown.1.notify_all();
}

/// All lines without what is blank at their ends.
fn contents(parser: &mut vt100::Parser) -> String {
    let screen = parser.screen_mut();
    let (lines, columns) = screen.size();
    let mut all = Vec::new();
    let mut above = screen.scrollback_len();
    // A page at a time from the top of what has left the screen.
    while above > 0 {
        screen.set_scrollback(above);
        let page = usize::from(lines.get()).min(above);
        all.extend(screen.rows(0, columns.get()).take(page));
        above -= page;
    }
    screen.set_scrollback(0);
    all.extend(screen.rows(0, columns.get()));
    let text = all
        .iter()
        .map(|line| line.trim_end())
        .collect::<Vec<_>>()
        .join("\n");
    format!("{}\n", text.trim_end())
}
