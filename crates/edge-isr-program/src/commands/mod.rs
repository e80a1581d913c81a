//! One file for each command.

mod completions;
mod config;
mod dead_letters;
mod doctor;
mod graph;
mod openapi;
mod purge;
mod receipts;
mod release;
mod revalidate;
mod serve;
mod status;
mod store_at_start;
mod warm;
mod why;
mod worker;

use crate::cli::{Cli, Command};
use crate::demo;
use crate::failure::Failure;
use crate::output::Output;

use self::store_at_start::store_at_start;

/// Does what the command line says.
///
/// # Errors
///
/// See [`Failure`].
pub(crate) async fn run(cli: &Cli, output: Output) -> Result<(), Failure> {
    let file = cli.config.as_deref();
    match &cli.command {
        Command::Serve(arguments) => serve::run(arguments, file, output).await,
        Command::Worker(arguments) => worker::run(arguments, file, output).await,
        Command::Demo(arguments) => demo::run(arguments, output).await,
        Command::Revalidate(arguments) => revalidate::run(arguments, file, output).await,
        Command::Release(arguments) => release::run(arguments, file, output).await,
        Command::Purge(arguments) => purge::run(arguments, file, output).await,
        Command::Warm(arguments) => warm::run(arguments, file, output).await,
        Command::Status(arguments) => status::run(arguments, file, output).await,
        Command::Why(arguments) => why::run(arguments, file, output).await,
        Command::Receipts(arguments) => receipts::run(arguments, file, output).await,
        Command::Graph(what) => graph::run(what, file, output).await,
        Command::DeadLetters(what) => dead_letters::run(what, file, output).await,
        Command::Config(what) => config::run(what, file, output),
        Command::Doctor => doctor::run(file, output).await,
        Command::Completions { shell } => completions::run(*shell),
        Command::Openapi => {
            openapi::run(output);
            Ok(())
        }
    }
}
