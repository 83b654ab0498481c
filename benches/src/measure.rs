//! Runs a command several times and keeps wall and CPU time of each run.

use std::{
    io::{Read, Seek, Write},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike,
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};

/// How often a running process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Wall and CPU time of one run.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

/// One run, looked at while it went on. What Linux alone tells is `None` elsewhere.
pub(crate) struct Watched {
    pub(crate) run: Run,
    /// The most memory that it had at once.
    pub(crate) peak_bytes: Option<u64>,
    /// Bytes that it read, from files and sockets.
    pub(crate) read_bytes: Option<u64>,
    /// Its standard output.
    pub(crate) stdout: String,
}

/// Prints a line of the report.
pub(crate) fn say(line: &str) {
    // The reader of a report may have gone; nothing is lost then.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn children_cpu() -> Result<Duration, nix::Error> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.unsigned_abs()))
}

/// Runs once; `prepare` is not counted. A command that fails is an error, so that no number comes from a failure.
pub(crate) fn once(command: &mut Command) -> Result<Run, Box<dyn std::error::Error>> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let before = children_cpu()?;
    let started = Instant::now();
    let output = command.spawn()?.wait_with_output()?;
    let wall = started.elapsed();
    let cpu = children_cpu()?.saturating_sub(before);
    if !has_answered(command, output.status) {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{command:?}: {}: {text}", output.status).into());
    }
    Ok(Run { wall, cpu })
}

/// Whether it did what it was asked for. 3: answers over the benchmark's data may rest on a report that an account lacks;
/// 1: a diff has rows.
fn has_answered(command: &Command, status: ExitStatus) -> bool {
    let is_diff = command.get_args().any(|arg| arg == "diff");
    status.success() || status.code() == Some(3) || (is_diff && status.code() == Some(1))
}

/// Runs once, looking at its memory all the while, and at what it read when it has ended.
pub(crate) fn watched(command: &mut Command) -> Result<Watched, Box<dyn std::error::Error>> {
    // Files, since nobody reads a pipe meanwhile.
    let mut stdout = tempfile::tempfile()?;
    let mut stderr = tempfile::tempfile()?;
    command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?);
    let before = children_cpu()?;
    let started = Instant::now();
    let mut child = command.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let proc = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
    let mut peak_bytes = None;
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(pid), look)? == WaitStatus::StillAlive {
        let status = proc("status").unwrap_or_default();
        peak_bytes = number(&status, "VmHWM:")
            .map(|kib| kib * 1024)
            .max(peak_bytes);
        std::thread::sleep(LOOK_EVERY);
    }
    let wall = started.elapsed();
    // It has ended and was not waited for: its counters are still there.
    let read_bytes = number(&proc("io").unwrap_or_default(), "rchar:");
    let status = child.wait()?;
    let cpu = children_cpu()?.saturating_sub(before);
    let mut text = String::new();
    if !has_answered(command, status) {
        stderr.rewind()?;
        stderr.read_to_string(&mut text)?;
        return Err(format!("{command:?}: {status}: {text}").into());
    }
    stdout.rewind()?;
    stdout.read_to_string(&mut text)?;
    Ok(Watched {
        run: Run { wall, cpu },
        peak_bytes,
        read_bytes,
        stdout: text,
    })
}

/// The number that follows a name in a file of `/proc`.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Says so when a peer is a script that starts another program: that costs time which is not the peer's, and its
/// memory is not seen.
pub(crate) fn note_launcher(peer: &std::path::Path) {
    let mut begin = [0; 2];
    let read = std::fs::File::open(peer).and_then(|mut file| file.read_exact(&mut begin));
    if read.is_ok() && begin == *b"#!" {
        say(&format!(
            "note: {} is a script that starts the program; name the program itself",
            peer.display()
        ));
    }
}

/// The CPU time of this process so far.
pub(crate) fn own_cpu() -> Result<Duration, nix::Error> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.unsigned_abs()))
}

/// Runs once uncounted, then `runs` times; prints a row and returns the medians.
pub(crate) fn several(
    name: &str,
    runs: usize,
    mut prepare: impl FnMut() -> std::io::Result<()>,
    mut command: impl FnMut() -> Command,
) -> Result<Run, Box<dyn std::error::Error>> {
    let mut counted = Vec::with_capacity(runs);
    for index in 0..=runs {
        prepare()?;
        let run = once(&mut command())?;
        if index > 0 {
            counted.push(run);
        }
    }
    let wall = Spread::of(counted.iter().map(|run| run.wall));
    let cpu = Spread::of(counted.iter().map(|run| run.cpu));
    say(&format!("| {name} | {} | {} |", wall.text(), cpu.text()));
    Ok(Run {
        wall: wall.median,
        cpu: cpu.median,
    })
}

/// The head of a table of [`several`].
pub(crate) fn head(title: &str) {
    say(&format!("\n### {title}\n"));
    say("| command | wall ms: median (min–max) | CPU ms: median (min–max) |");
    say("|---|---:|---:|");
}

struct Spread {
    median: Duration,
    min: Duration,
    max: Duration,
}

impl Spread {
    fn of(values: impl Iterator<Item = Duration>) -> Self {
        let mut values = values.collect::<Vec<_>>();
        values.sort_unstable();
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        Self {
            median: at(values.len() / 2),
            min: at(0),
            max: at(values.len().saturating_sub(1)),
        }
    }

    fn text(&self) -> String {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        format!(
            "{:.1} ({:.1}–{:.1})",
            ms(self.median),
            ms(self.min),
            ms(self.max)
        )
    }
}
