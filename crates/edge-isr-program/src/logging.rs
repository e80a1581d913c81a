//! What the program says of its work, on standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, as `tracing_subscriber` reads it: `info,isr_edge=debug`.
const VARIABLE: &str = "EDGE_ISR_LOG";

/// Starts logging. Something that keeps running says more than a command that ends with its result.
/// `verbose` counts for nothing where the variable says what to log.
pub(crate) fn install(keeps_running: bool, verbose: u8) {
    let default = match verbose {
        0 if keeps_running => "warn,edge_isr=info",
        0 => "error",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(colours)
        .with_target(verbose > 0)
        .init();
}
