//! Runs the torture. `cargo xtask torture` builds what it needs and starts it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its findings are its output"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use isr_torture::{Mistakes, Options, Overload, Programs, Report, Servers, overload, torture};
use tokio::signal::unix::{SignalKind, signal};

/// Leaves out one revalidation in so many, to see whether that is found.
const DROP_ONE_IN: &str = "ISR_TORTURE_DROP_ONE_IN";

/// Takes every revalidation for settled once it is accepted, where it is set: that has to be found too.
const HASTY: &str = "ISR_TORTURE_HASTY";

/// What the program ends with when it found that something was lost.
const LOST: u8 = 3;

/// Kills, stops and cuts off real processes of edge-isr, and watches that no invalidation is lost.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program under test.
    #[arg(long)]
    edge_isr: PathBuf,
    /// Redis.
    #[arg(long, default_value = "redis-server")]
    redis_server: PathBuf,
    /// Varnish.
    #[arg(long, default_value = "varnishd")]
    varnishd: PathBuf,
    /// What Varnish is told.
    #[arg(long, default_value = "docs/connectors/varnish.vcl")]
    vcl: PathBuf,
    /// Where the run makes a folder of its own.
    #[arg(long, default_value = "target/tmp")]
    folder: PathBuf,
    /// Leaves that folder behind, with everything that the processes have said.
    #[arg(long)]
    keep: bool,
    /// Asks one edge for ten times as much as it gets done, in place of the faults.
    #[arg(long)]
    overload: bool,
    /// How long the load and the faults last.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..))]
    seconds: u64,
    /// Selects the site, the load and the faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Changes of the data in a second.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..))]
    changes: u32,
    /// Milliseconds between one page and the next, for each of 18 visitors.
    #[arg(long, default_value_t = 20)]
    pause: u64,
    /// Partitions of the store.
    #[arg(long, default_value_t = 4)]
    partitions: u16,
    /// Keeps the store in a Redis Cluster of three masters and three replicas, of which nodes are killed too, and
    /// whose partitions are moved.
    #[arg(long, conflicts_with = "overload")]
    cluster: bool,
    /// How Redis writes its file: `always`, or `everysec`, by which a killed Redis may have forgotten what it
    /// acknowledged while the disk was busy.
    #[arg(long, default_value = "always")]
    appendfsync: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(Some(report)) => {
            println!("{report}");
            if report.is_good() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(LOST)
            }
        }
        Ok(None) => {
            eprintln!("broken off; everything that was started has ended");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until the end, or until somebody asks to end: then there is no report. Either way everything that
/// was started ends with the runtime.
fn run(arguments: &Arguments) -> anyhow::Result<Option<Report>> {
    let programs = Programs {
        edge_isr: arguments.edge_isr.clone(),
        redis_server: arguments.redis_server.clone(),
        varnishd: arguments.varnishd.clone(),
        vcl: arguments.vcl.clone(),
        folder: arguments.folder.clone(),
        keep: arguments.keep,
    };
    let options = Options {
        seed: arguments.seed,
        lasts: Duration::from_secs(arguments.seconds),
        changes: f64::from(arguments.changes),
        pause: arguments.pause,
        partitions: arguments.partitions,
        servers: if arguments.cluster {
            Servers::Cluster
        } else {
            Servers::One
        },
        fsync: arguments.appendfsync.clone(),
        mistakes: mistakes()?,
    };
    let load = Overload {
        seed: options.seed,
        lasts: options.lasts,
    };
    let play = async {
        if arguments.overload {
            overload(&programs, &load).await
        } else {
            torture(&programs, &options).await
        }
    };
    let runtime = tokio::runtime::Runtime::new().context("no threads can be started")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            report = play => report.map(Some),
            _ = tokio::signal::ctrl_c() => Ok(None),
            _ = terminate.recv() => Ok(None),
        }
    })
}

fn mistakes() -> anyhow::Result<Mistakes> {
    let hasty = std::env::var_os(HASTY).is_some();
    let Some(value) = std::env::var_os(DROP_ONE_IN) else {
        let drop_one_in = None;
        return Ok(Mistakes { drop_one_in, hasty });
    };
    let number = value.to_str().and_then(|it| it.parse().ok());
    let number = number.filter(|&it| it > 0);
    let number = number.with_context(|| format!("{DROP_ONE_IN} has to be a number from 1 on"))?;
    let drop_one_in = Some(number);
    Ok(Mistakes { drop_one_in, hasty })
}
