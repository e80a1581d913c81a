//! `edge-isr completions`: for shells.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;

pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "edge-isr", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script).map_err(Failure::asked)
}
