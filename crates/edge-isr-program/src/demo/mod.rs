//! `edge-isr demo`: everything at work on a small sample site.
//!
//! The site, the edge cache in front of it and the admin API run on free ports of this machine, with
//! their data in a temporary folder. [`script`] is what happens; [`record`] is what was seen;
//! [`expectations`] is what had to be seen.

mod expectations;
mod record;
mod report;
mod script;
mod site;
mod visitor;

use std::sync::Arc;

use edge_isr::config;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::script::Script;
use self::site::Site;
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::server::Server;
use crate::signals::StopSignals;

/// Runs the demo.
///
/// # Errors
///
/// With `--once`, when an expectation did not hold; anything that keeps the demo from running.
pub(crate) async fn run(arguments: &cli::Demo, output: Output) -> Result<(), Failure> {
    let mut signals = StopSignals::listen()?;
    let folder = tempfile::tempdir().map_err(Failure::asked)?;
    let stop = CancellationToken::new();
    let site = Site::start(stop.clone()).await.map_err(Failure::asked)?;
    // Much lag is allowed, so that a busy machine is not taken for a store that is away.
    let toml = format!(
        "[site]\norigin = \"{}\"\n[edge]\nmax_lag = \"10s\"\n[listen]\nedge = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[store]\npath = {}\n",
        site.origin(),
        json!(folder.path().join("store.sqlite3")),
    );
    let server = Server::start(config::parse(&toml)?.config).await?;
    server
        .process
        .store_answers()
        .await
        .map_err(Failure::asked)?;
    let admin = format!("http://{}", server.process.admin);
    let client = Arc::new(Client::to(&admin, None)?);
    site.tell_changes_to(Arc::clone(&client));

    let edge = format!("http://{}", server.edge);
    output.line(report::opening(&site.origin(), &edge, output));
    let shown = tokio::select! {
        held = play(&site, &edge, &client, output) => held.map(Some),
        () = signals.any() => Ok(None),
    };
    if !arguments.once && matches!(shown, Ok(Some(_))) {
        output.line(report::closing(&edge, &admin, output));
        signals.any().await;
    }
    signals.or_end(server.stop()).await?;
    stop.cancel();
    match shown? {
        Some(false) => Err(Failure::Asked(
            "an expectation of the demo did not hold".into(),
        )),
        Some(true) | None => Ok(()),
    }
}

/// Plays the script, shows what was seen, and says whether every expectation held.
async fn play(site: &Site, edge: &str, client: &Client, output: Output) -> Result<bool, Failure> {
    let record = Script::new(site, edge, client, output)?.play().await?;
    let checks = expectations::check(&record);
    let held = checks.iter().all(|check| check.held);
    output.result(
        &json!({"pages": record.pages, "checks": checks, "held": held}),
        || report::timeline(&record, &checks, output),
    );
    Ok(held)
}
