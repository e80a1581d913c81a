//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Incremental static revalidation for any web origin: the speed of static pages, the freshness of
/// dynamic ones.
#[derive(Debug, Parser)]
#[command(
    name = "edge-isr",
    version,
    max_term_width = 100,
    after_help = "\
Commands that concern a site ask its running server, and where none listens, its store: they need no \
server beside an application that has the layer.\n\n\
Exit status: 0 all went well; 1 what was asked for failed; 2 the command line or the configuration is \
wrong; 3 the server or the store cannot be reached.\n\n\
Begin with `edge-isr demo`."
)]
pub(crate) struct Cli {
    /// Write JSON in place of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on standard error; twice for still more. `EDGE_ISR_LOG` says exactly what
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// The configuration file; ./edge-isr.toml if there is one
    #[arg(long, global = true, value_name = "FILE", env = "EDGE_ISR_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the edge cache, the worker and the admin API in front of an origin
    #[command(after_help = "\
Examples:
  EDGE_ISR_SITE__ORIGIN=http://127.0.0.1:3000 edge-isr serve
  edge-isr serve --config /etc/edge-isr.toml --require-store")]
    Serve(Serve),
    /// Run a worker and the admin API, and serve nothing: for a site whose store is shared
    #[command(after_help = "\
Examples:
  edge-isr worker --config /etc/edge-isr.toml
  EDGE_ISR_LISTEN__ADMIN=127.0.0.1:8082 edge-isr worker")]
    Worker(Worker),
    /// Show everything on a small sample site, then stay up to be looked at
    #[command(after_help = "\
Examples:
  edge-isr demo           visit, edit, watch; then open the printed addresses
  edge-isr demo --once    exit with 1 when an expectation did not hold")]
    Demo(Demo),
    /// Revalidate every page that depends on what changed
    #[command(after_help = "\
Examples:
  edge-isr revalidate post:42 posts
  edge-isr revalidate --url https://example.com/about --wait
  edge-isr revalidate category:7 --dry-run
  edge-isr revalidate --prefix https://example.com/blog --hard
  edge-isr revalidate post:42 --at 2026-12-01T09:00Z
  edge-isr revalidate --cancel 0197a5a4-9f0e-7cc3-98c4-dc0c0c07398f")]
    Revalidate(Revalidate),
    /// Let revalidations go on that are held, since they concern very many pages
    #[command(after_help = "\
Examples:
  edge-isr receipts --phase held
  edge-isr release 0197a5a4-9f0e-7cc3-98c4-dc0c0c07398f
  edge-isr release --all")]
    Release(Release),
    /// Remove every copy of pages, and do not warm them
    #[command(after_help = "\
Examples:
  edge-isr purge https://example.com/draft
  edge-isr purge https://example.com/a https://example.com/b --wait")]
    Purge(Purge),
    /// Request pages so that the edges hold them
    #[command(after_help = "\
Examples:
  edge-isr warm https://example.com/ https://example.com/blog")]
    Warm(Warm),
    /// Show what is known of a tag, a page or a revalidation
    #[command(after_help = "\
Examples:
  edge-isr status                                  the newest revalidations
  edge-isr status --tag post:42                    the pages of a tag
  edge-isr status --url https://example.com/blog   the tags of a page
  edge-isr status --receipt 0197a5a4-9f0e-7cc3-98c4-dc0c0c07398f
  edge-isr status --receipt 0197a5a4-9f0e-7cc3-98c4-dc0c0c07398f --wait=done")]
    Status(Status),
    /// Show what has happened to a page: why it is stale, or is not
    #[command(after_help = "\
Examples:
  edge-isr why https://example.com/blog
  edge-isr why https://example.com/blog --json | jq .verdict")]
    Why(Why),
    /// List revalidations, newest first
    #[command(after_help = "\
Examples:
  edge-isr receipts --phase failed --phase settling --since 2h
  edge-isr receipts --tag post:42 --limit 5
  edge-isr receipts --phase scheduled --all --json | jq -r '.receipts[].id'")]
    Receipts(Receipts),
    /// Look at the tag graph
    #[command(subcommand)]
    Graph(Graph),
    /// Look at jobs that were given up on, or have them tried again
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Look whether the store, the origin and every tier can be reached and used, and purge nothing
    #[command(after_help = "\
Examples:
  edge-isr doctor --config /etc/edge-isr.toml
  edge-isr doctor --json")]
    Doctor,
    /// Check or show the configuration
    #[command(subcommand)]
    Config(Config),
    /// Print completions for a shell
    #[command(after_help = "\
Examples:
  edge-isr completions bash > /etc/bash_completion.d/edge-isr")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the OpenAPI description of the admin API
    #[command(after_help = "\
Examples:
  edge-isr openapi > openapi.json")]
    Openapi,
}

impl Command {
    /// Whether it runs until it is stopped.
    pub(crate) const fn keeps_running(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Worker(_) | Self::Demo(_))
    }
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) store: StoreAtStart,
}

/// Arguments of `worker`.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    pub(crate) store: StoreAtStart,
}

/// What becomes of a process whose store is away when it starts.
#[derive(Debug, Args)]
pub(crate) struct StoreAtStart {
    /// Exit with 3 when the store cannot be reached at the start, in place of waiting for it
    #[arg(long)]
    pub(crate) require_store: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the timeline, with 1 when an expectation did not hold
    #[arg(long)]
    pub(crate) once: bool,
}

/// Arguments of `revalidate`.
#[derive(Debug, Args)]
pub(crate) struct Revalidate {
    /// Tags whose pages are revalidated
    #[arg(value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// A single page; can be repeated
    #[arg(long = "url", value_name = "URL")]
    pub(crate) urls: Vec<String>,
    /// A page with everything beneath it, by whole path segments; can be repeated
    #[arg(long = "prefix", value_name = "URL")]
    pub(crate) prefixes: Vec<String>,
    /// Every page of a host; can be repeated
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// Every page of the site
    #[arg(long, conflicts_with_all = ["tags", "urls", "prefixes", "hosts"])]
    pub(crate) everything: bool,
    /// Never serve a copy again, in place of serving it while it is revalidated
    #[arg(long)]
    pub(crate) hard: bool,
    /// Not before a time to come, in RFC 3339, by the store's clock: for content under embargo
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) hold: Hold,
    /// Call off what waits for its time, or the calls and warm-ups of what is held
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["tags", "urls", "prefixes", "hosts", "everything", "hard", "at", "no_hold", "dry_run", "wait", "until_edges_know"]
    )]
    pub(crate) cancel: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Arguments of `release`.
#[derive(Debug, Args)]
pub(crate) struct Release {
    /// The revalidations
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub(crate) ids: Vec<String>,
    /// Every one that is held
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Whether it may be held.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    /// Do not hold it until somebody releases it, however many pages it concerns
    #[arg(long)]
    pub(crate) no_hold: bool,
}

impl Hold {
    /// As the API is told it.
    pub(crate) fn asked(&self) -> Option<bool> {
        self.no_hold.then_some(false)
    }
}

/// What to wait for.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Wait until it has come so far; if it is not said how far, until nothing made from older data can
    /// appear anywhere
    #[arg(id = "wait", long = "wait", value_name = "FOR", num_args = 0..=1, require_equals = true, default_missing_value = "settled")]
    pub(crate) until: Option<Until>,
    /// Wait until no edge serves anything of it as fresh
    #[arg(long = "wait-edges", conflicts_with = "wait")]
    pub(crate) until_edges_know: bool,
    /// How long to wait, in seconds: at most 600
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
}

/// How far a revalidation is to have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// No edge serves anything of it as fresh
    Edges,
    /// Every tier has taken the purge on
    Purged,
    /// Nothing made from older data can appear anywhere
    Settled,
    /// Nothing is left to do, warming included
    Done,
}

/// Arguments of `purge`.
#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// The pages
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,
    #[command(flatten)]
    pub(crate) hold: Hold,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Arguments of `warm`.
#[derive(Debug, Args)]
pub(crate) struct Warm {
    /// The pages
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// A tag: which pages are bound to it
    #[arg(long, group = "what")]
    pub(crate) tag: Option<String>,
    /// A page: which tags it is bound to
    #[arg(long, group = "what")]
    pub(crate) url: Option<String>,
    /// A revalidation: how far it has come
    #[arg(long, group = "what", value_name = "ID")]
    pub(crate) receipt: Option<String>,
    /// With --receipt: wait until it has come so far; if it is not said how far, until it has settled
    #[arg(long, requires = "receipt", value_name = "FOR", num_args = 0..=1, require_equals = true, default_missing_value = "settled")]
    pub(crate) wait: Option<Until>,
    /// How long to wait, in seconds: at most 600
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Arguments of `why`.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The page
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// At most so many revalidations
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) limit: u64,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Arguments of `receipts`.
#[derive(Debug, Args)]
pub(crate) struct Receipts {
    /// At this phase; can be repeated
    #[arg(long = "phase", value_name = "PHASE")]
    pub(crate) phases: Vec<String>,
    /// Settled ones
    #[arg(long)]
    pub(crate) settled: bool,
    /// Those that have not settled
    #[arg(long, conflicts_with = "settled")]
    pub(crate) unsettled: bool,
    /// That name this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// That name this URL
    #[arg(long, conflicts_with = "tag")]
    pub(crate) url: Option<String>,
    /// Asked for by `api`, `command_line`, `library`, `purge_request` or `unsafe_request`
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Accepted since then: a time, or so long ago such as 2h
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Accepted until then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) limit: u64,
    /// However many there are
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
    /// Go on where the list before ended
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Which running server to ask.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// The admin API of the running server; the configuration's `listen.admin` if not given
    #[arg(long, value_name = "URL", env = "EDGE_ISR_SERVER")]
    pub(crate) server: Option<String>,
    /// A file that holds the API's token; else `EDGE_ISR_TOKEN`, else, without --server, the
    /// configuration's
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// What to look at in the tag graph.
#[derive(Debug, Subcommand)]
pub(crate) enum Graph {
    /// How large it is, what waits to be done, and who sends responses
    #[command(after_help = "\
Examples:
  edge-isr graph stats --json | jq .pages")]
    Stats(Server),
}

/// What to do with jobs that were given up on.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// Show them, with what stood in the way
    #[command(after_help = "\
Examples:
  edge-isr dead-letters list")]
    List(Server),
    /// Queue them again, with a clean slate
    #[command(after_help = "\
Examples:
  edge-isr dead-letters replay --all
  edge-isr dead-letters replay 0197a5a4-9f0e-7cc3-98c4-dc0c0c07398f
  edge-isr dead-letters replay https://example.com/blog")]
    Replay(Replay),
}

/// Arguments of `dead-letters replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Names of revalidations, and URLs of pages
    #[arg(value_name = "ID|URL", required_unless_present = "all")]
    pub(crate) jobs: Vec<String>,
    /// Every one
    #[arg(long, conflicts_with = "jobs")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Report every fault, with its key and where it came from
    #[command(after_help = "\
Examples:
  edge-isr config check --config edge-isr.toml")]
    Check,
    /// Show every key with its effective value and where that came from; secrets as ***
    #[command(after_help = "\
Examples:
  edge-isr config print > every-key.toml")]
    Print,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn visit(command: &clap::Command) {
            for inner in command
                .get_subcommands()
                .filter(|inner| inner.get_name() != "help")
            {
                if inner.has_subcommands() {
                    visit(inner);
                } else {
                    let help = inner
                        .get_after_help()
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    assert!(
                        help.starts_with("Examples:"),
                        "{} shows none",
                        inner.get_name()
                    );
                }
            }
        }
        visit(&Cli::command());
    }
}
