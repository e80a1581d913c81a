//! The `edge-isr` program: incremental static revalidation in front of any web origin.
//!
//! `serve` runs the edge cache, the worker and the admin API; `demo` shows all of it on a sample site;
//! the other commands look at a running server or a configuration, or ask the server for something.

mod admin;
mod cli;
mod client;
mod commands;
mod demo;
mod failure;
mod logging;
mod output;
mod render;
mod server;
mod signals;
mod tls;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    logging::install(cli.command.keeps_running(), cli.verbose);
    tls::install();
    let output = output::Output::new(cli.json);
    match commands::run(&cli, output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}
