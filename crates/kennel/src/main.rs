//! kennel: the front door. Reads the command line, the environment and the config file, calls the
//! other rooms, and is the only place that talks to people.

mod cli;
mod clock;
mod commands;
mod completing;
mod context;
#[cfg(test)]
mod docs;
mod error;
mod exit;
mod export;
mod habits;
mod lake;
mod mirroring;
mod output;
mod printer;
mod progress;
mod redact;
mod repl;
mod settings;
mod signals;
mod suppressions;
mod text;
mod version;

use std::process::ExitCode;

use clap::{FromArgMatches, error::ErrorKind};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    cli::{Cli, ColorChoice, Command, LogFormat},
    context::Context,
    error::CliError,
    exit::Exit,
    printer::Printer,
    settings::{FlagOrigins, Settings},
};

/// Queries allocate and free on several threads at once; the system's allocator spends half of their time on that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    completing::answer_shell();
    // Clap answers `--help` and wrong usage itself, with 0 and 2.
    let matches = match cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayVersion && asks_for_more() => {
            let printer = Printer::new(ColorChoice::Never, false, 0);
            let told = printer.data(&version::build_facts());
            return told
                .map_or_else(|error| error.exit(), |()| Exit::Done)
                .into();
        }
        Err(error) => error.exit(),
    };
    let origins = FlagOrigins::new(&matches);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let plain = || {
        Printer::new(
            cli.global.color.unwrap_or_default(),
            cli.global.quiet,
            cli.global.verbose,
        )
    };

    // These must work where the config file is broken or somebody else's.
    let needs_file = !matches!(
        cli.command,
        Command::Demo(_) | Command::Init(_) | Command::Completions(_) | Command::Man(_)
    );
    let loaded = if needs_file {
        Settings::load(&cli.global, origins)
    } else {
        Settings::without_file(&cli.global, origins)
    };
    let loaded = loaded.and_then(|mut settings| {
        if matches!(cli.command, Command::Demo(_)) {
            commands::demo::prepare(&mut settings)?;
        }
        Ok(settings)
    });
    let settings = match loaded {
        Ok(settings) => settings,
        Err(error) => {
            plain().error(&error);
            return error.exit().into();
        }
    };
    start_log(settings.log_format.value, cli.global.verbose);
    let printer = Printer::new(settings.color.value, cli.global.quiet, cli.global.verbose)
        .with_json(settings.log_format.value == LogFormat::Json);
    let cx = Context {
        printer,
        settings,
        named_config: cli.global.config.clone(),
    };
    match dispatch(cli.command, &cx) {
        Ok(exit) => exit.into(),
        Err(error) => {
            cx.printer.error(&error);
            error.exit().into()
        }
    }
}

/// Whether the command line has a `-v`, which clap no longer reads once it has met `--version`.
fn asks_for_more() -> bool {
    let words = std::env::args_os().skip(1).collect::<Vec<_>>();
    version::is_verbose(words.iter().filter_map(|word| word.to_str()))
}

/// Runs the command on the runtime that suits it: threads only where there is work for them.
fn dispatch(command: Command, cx: &Context) -> Result<Exit, CliError> {
    // These only read and leave nothing behind: a signal may end them as it ends any program.
    match &command {
        Command::Init(args) => return commands::init::run(args, cx),
        Command::List(args) => return commands::list::run(args, cx),
        Command::Ddl(args) => return commands::ddl::run(args, cx),
        Command::Status(args) => return commands::status::run(args, cx),
        Command::Verify(args) if !args.needs_runtime() => return commands::verify::run(args, cx),
        Command::Completions(args) => return commands::completions::run(args, cx),
        Command::Man(args) => return commands::man::run(args, cx),
        _ => {}
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if matches!(command, Command::Prune(_) | Command::Cat(_)) {
        builder.worker_threads(1);
    } else if let Ok(cores) = std::thread::available_parallelism() {
        // A plan that multiplies rows and drops them all can keep a thread for each core and not give way: clocks and
        // signals need one that is left.
        builder.worker_threads(cores.get() + 1);
    }
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|e| CliError::new("cannot start the runtime").cause(&e))?;
    let exit = runtime.block_on(async {
        match command {
            Command::Sync(args) => Box::pin(commands::sync::run(args, cx)).await,
            Command::Demo(args) => or_interrupted(Box::pin(commands::demo::run(args, cx))).await,
            Command::Run(args) => or_interrupted(Box::pin(commands::run::run(args, cx))).await,
            Command::Sql(args) => Box::pin(commands::sql::run(args, cx)).await,
            Command::Diff(args) => or_interrupted(Box::pin(commands::diff::run(args, cx))).await,
            Command::Export(args) => {
                or_interrupted(Box::pin(commands::export::run(args, cx))).await
            }
            Command::Policy(args) => {
                or_interrupted(Box::pin(commands::policy::run(args, cx))).await
            }
            Command::Prune(args) => {
                signals::end_on_signal();
                commands::prune::run(&args, cx)
            }
            Command::Cat(args) => {
                signals::end_on_signal();
                commands::cat::run(&args, cx)
            }
            Command::Init(args) => commands::init::run(&args, cx),
            Command::List(args) => commands::list::run(&args, cx),
            Command::Ddl(args) => commands::ddl::run(&args, cx),
            Command::Status(args) => commands::status::run(&args, cx),
            Command::Verify(args) => {
                or_interrupted(Box::pin(commands::verify::run_other(args, cx))).await
            }
            Command::Completions(args) => commands::completions::run(&args, cx),
            Command::Man(args) => commands::man::run(&args, cx),
        }
    });
    // A worker that still reads ahead must not keep the process: what was asked for is written.
    runtime.shutdown_background();
    exit
}

/// The command's end, or the first signal's: dropping the work removes unfinished files.
pub(crate) async fn or_interrupted(
    work: impl Future<Output = Result<Exit, CliError>>,
) -> Result<Exit, CliError> {
    let mut interrupts = signals::listen();
    tokio::select! {
        biased;
        () = interrupts.next() => Err(CliError::interrupted("interrupted")),
        exit = work => exit,
    }
}

/// The log: warnings of kennel's own rooms, more with `-vv`, everything with `-vvv`.
fn start_log(format: LogFormat, verbosity: u8) {
    use tracing::level_filters::LevelFilter;
    let ours = match verbosity {
        0 | 1 => LevelFilter::WARN,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let theirs = if verbosity > 2 {
        LevelFilter::DEBUG
    } else {
        LevelFilter::OFF
    };
    let filter = Targets::new()
        .with_target("kennel", ours)
        .with_default(theirs);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => registry.with(layer).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
}
