//! `kennel man`: the help as manual pages.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap_mangen::Man;

use crate::{cli, context::Context, error::CliError, exit::Exit, text::nearest};

/// Print a manual page, or write all of them
///
/// Pages are in the form of man(7), as `man -l` shows them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel man | man -l -
  kennel man run | man -l -
  kennel man --out ~/.local/share/man/man1    then: man kennel-run")]
pub(crate) struct Args {
    /// A command [default: kennel itself]
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Option<String>,
    /// Write the pages of all commands into a folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let mut command = cli::command();
    // Gives each command its whole name, `kennel run`, and the global flags.
    command.build();
    if let Some(folder) = &args.out {
        return write_all(&command, folder, cx);
    }
    let wanted = match args.command.as_deref() {
        None => &command,
        Some(name) => command.find_subcommand(name).ok_or_else(|| {
            let names = command.get_subcommands().map(clap::Command::get_name);
            let told = CliError::new(format!("no command `{name}`"));
            match nearest(name, names) {
                Some(name) => told.hint(format!("did you mean `{name}`?")),
                None => told.hint("`kennel --help` lists the commands"),
            }
        })?,
    };
    let page = page(wanted)?;
    cx.printer.data(page.trim_end())?;
    Ok(Exit::Done)
}

fn write_all(command: &clap::Command, folder: &Path, cx: &Context) -> Result<Exit, CliError> {
    let cannot = |path: &Path, e: std::io::Error| {
        CliError::new(format!("cannot write `{}`", path.display())).cause(&e)
    };
    fs::create_dir_all(folder).map_err(|e| cannot(folder, e))?;
    let subcommands = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for command in std::iter::once(command).chain(subcommands) {
        let path = folder.join(format!("{}.1", dashed(command)));
        fs::write(&path, page(command)?).map_err(|e| cannot(&path, e))?;
        cx.printer.info(&format!("wrote {}", path.display()));
    }
    Ok(Exit::Done)
}

/// `kennel-run`: how manual pages of subcommands are called.
fn dashed(command: &clap::Command) -> String {
    command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .replace(' ', "-")
}

fn page(command: &clap::Command) -> Result<String, CliError> {
    let mut page = Vec::new();
    Man::new(command.clone().display_name(dashed(command)))
        .title(dashed(command))
        .manual("kennel")
        .render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
