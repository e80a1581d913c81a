//! Purging very many pages from models of CDNs, by the pipeline that a site runs.
//!
//! Each run is two processes of their own: one that is the service, and one that is the pipeline, whose
//! memory is therefore its own. A third has made the store that the pipeline opens: the embedded one, since
//! a store that holds the pages in memory would grow with them.

mod case;
mod child;
mod clock;
mod fake;
mod pages;
mod pipeline;
mod services;
mod table;
mod without_tags;

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::{Args, Subcommand};

use self::case::Case;
use self::child::{Child, answer_of};
use self::fake::Counts;
use self::pipeline::Run;

/// What is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Pages under the tag. Memory is compared with ten times as many.
    #[arg(long, default_value_t = 100_000)]
    pages: u64,
    /// Only the services whose name contains this.
    #[arg(long, default_value = "")]
    service: String,
    /// Only the runs whose description contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Leaves out the runs with ten times the pages.
    #[arg(long)]
    no_memory: bool,
}

/// A part of a run, which the measurement starts as a process of its own.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Part {
    /// Makes a store with so many pages.
    Pages {
        /// Where.
        path: PathBuf,
        /// How many.
        pages: u64,
    },
    /// Is the service, until its standard input ends; then prints what it has counted.
    Fake {
        /// The run, as JSON.
        case: Case,
    },
    /// Is the pipeline; prints what became of the run.
    Pipeline {
        /// The run, as JSON.
        case: Case,
        /// The store.
        path: PathBuf,
        /// Where the service is.
        address: String,
    },
}

/// Runs one part.
pub(crate) async fn run_part(part: Part) -> anyhow::Result<()> {
    match part {
        Part::Pages { path, pages } => pages::make(&path, pages).await,
        Part::Fake { case } => fake::serve(&case).await,
        Part::Pipeline {
            case,
            path,
            address,
        } => {
            let run = pipeline::run(&case, &path, &address).await?;
            println!("{}", serde_json::to_string(&run)?);
            Ok(())
        }
    }
}

/// Measures, and prints a table.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let cases: Vec<Case> = services::all()
        .into_iter()
        .filter(|service| service.name().contains(&options.service))
        .flat_map(|service| service.cases(options.pages))
        .filter(|case| case.describe().contains(&options.only))
        .filter(|case| !options.no_memory || !case.is_for_memory)
        .collect();
    ensure!(
        !cases.is_empty(),
        "no run has such a service and description"
    );
    println!("Load average before the first run: {}", load_average()?);
    table::head();
    // A run with ten times the pages is compared with the one before it.
    let mut before: Option<(Case, Run)> = None;
    for case in cases {
        let store = store_of(directory.path(), case.pages).await?;
        let (run, counts) = measure(directory.path(), &store, &case).await?;
        let smaller = before
            .as_ref()
            .filter(|(before, _)| case.is_for_memory && before.is_smaller_than(&case));
        table::row(&case, &run, &counts, smaller.map(|(_, run)| run));
        before = Some((case, run));
    }
    println!("\nLoad average after the last: {}", load_average()?);
    Ok(())
}

/// The store with so many pages, made once.
async fn store_of(directory: &Path, pages: u64) -> anyhow::Result<PathBuf> {
    let path = directory.join(format!("{pages}.sqlite"));
    if !path.exists() {
        let part = ["pages".to_owned(), text(&path)?, pages.to_string()];
        answer_of(Child::start(&part)?).await?;
    }
    Ok(path)
}

/// One run, on a copy of the store.
async fn measure(directory: &Path, store: &Path, case: &Case) -> anyhow::Result<(Run, Counts)> {
    let home = tempfile::tempdir_in(directory)?;
    let path = home.path().join("graph.sqlite");
    std::fs::copy(store, &path)?;
    let json = serde_json::to_string(case)?;
    let mut service = Child::start(&["fake".to_owned(), json.clone()])?;
    let address = service.line().await?;
    let pipeline = Child::start(&["pipeline".to_owned(), json, text(&path)?, address])?;
    let run: Run = serde_json::from_str(&answer_of(pipeline).await?)?;
    let counts: Counts = serde_json::from_str(&answer_of(service).await?)?;
    Ok((run, counts))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str();
    Ok(text
        .ok_or_else(|| anyhow::anyhow!("{} is not UTF-8", path.display()))?
        .to_owned())
}

/// Over one, five and fifteen minutes: above the number of processors, others were at work too.
fn load_average() -> anyhow::Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
