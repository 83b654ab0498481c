//! Runs a command several times and keeps wall and CPU time of each run.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// Wall and CPU time of one run.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
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
    // 3: answers over the benchmark's data may rest on a report that an account lacks.
    if !output.status.success() && output.status.code() != Some(3) {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{command:?}: {}: {text}", output.status).into());
    }
    Ok(Run { wall, cpu })
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
