//! `nuncio completions`: what lets a shell complete this program's commands and flags.

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;

use crate::{command, print};

/// The arguments of `nuncio completions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

const EXAMPLES: &str = "\
Where they belong:
  bash        nuncio completions bash > ~/.local/share/bash-completion/completions/nuncio
  zsh         nuncio completions zsh > \"${fpath[1]}/_nuncio\"
  fish        nuncio completions fish > ~/.config/fish/completions/nuncio.fish
  elvish      nuncio completions elvish >> ~/.config/elvish/rc.elv
  powershell  nuncio completions powershell >> $PROFILE";

/// Prints them.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn run(args: &CompletionsArgs) -> Result<()> {
    print(&script(args.shell))
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "nuncio", &mut script);
    String::from_utf8(script).expect("names and descriptions are UTF-8")
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_command_and_flag_is_in_every_shells_script() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for command in command().get_subcommands() {
                assert!(
                    script.contains(command.get_name()),
                    "{shell}: {}",
                    command.get_name()
                );
            }
            for flag in ["idempotency-key", "everyone", "key-file", "format"] {
                assert!(script.contains(flag), "{shell}: {flag}");
            }
        }
    }
}
