//! `kennel completions`: the script by which a shell asks kennel what to complete.

use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::{completing::VARIABLE, context::Context, error::CliError, exit::Exit};

/// Print a shell's completion script
///
/// The script asks kennel itself what fits: commands, flags and their values, and what this config and this cache know:
/// ids of queries, tags, parameters, sources, accounts, customers, snapshots.
///
/// Load it when the shell starts, rather than keep a copy: a newer kennel may answer in another form.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bash         echo 'source <(kennel completions bash)' >> ~/.bashrc
  zsh          echo 'source <(kennel completions zsh)' >> ~/.zshrc         (after compinit)
  fish         echo 'kennel completions fish | source' >> ~/.config/fish/config.fish
  powershell   Add-Content $PROFILE 'kennel completions powershell | Out-String | Invoke-Expression'
  elvish       echo 'eval (kennel completions elvish | slurp)' >> ~/.config/elvish/rc.elv")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shell {
    /// GNU Bash
    Bash,
    /// Elvish
    Elvish,
    /// fish
    Fish,
    /// PowerShell, on any platform
    #[value(alias = "pwsh")]
    Powershell,
    /// Z shell
    Zsh,
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let completer: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Zsh => &Zsh,
    };
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "kennel", "kennel", "kennel", &mut script)?;
    cx.printer
        .data(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}
