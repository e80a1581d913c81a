//! What the program says of its work, on standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, as `tracing_subscriber` reads it: `info,isr_edge=debug`.
const VARIABLE: &str = "EDGE_ISR_LOG";

/// The AWS SDK names the access key that it signs with where it logs more than this. Whoever asks for these
/// targets by name gets it all the same.
const NAMES_KEYS: &str = "aws_sigv4=error,aws_smithy_runtime=error";

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
    let asked = std::env::var(VARIABLE).ok();
    let asked = asked.filter(|asked| EnvFilter::try_new(asked).is_ok());
    let wanted = asked.as_deref().unwrap_or(default);
    let filter = EnvFilter::new(format!("{NAMES_KEYS},{wanted}"));
    let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(colours)
        .with_target(verbose > 0)
        .init();
}
