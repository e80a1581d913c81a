//! `edge-isr worker`: carries revalidations out, and serves nothing.

use std::path::Path;

use edge_isr::config::{self, StoreConfig};
use serde_json::json;

use crate::cli;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;
use crate::server::Process;
use crate::signals::StopSignals;

use super::store_at_start;

pub(super) async fn run(
    arguments: &cli::Worker,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let mut config = config::load(file)?.config;
    if matches!(config.store, StoreConfig::Memory) {
        let detail = "`store.kind` is memory, which no worker beside the server can share: choose sqlite or redis";
        return Err(Failure::Usage(detail.into()));
    }
    config.worker.enabled = true;
    let store = render::store(&config.store);
    let mut signals = StopSignals::listen()?;
    let process = Process::start(config, None).await?;
    let found = store_at_start(&process, &arguments.store, "nothing is done until it can").await;
    if let Err(failure) = found {
        process.stop().await;
        return Err(failure);
    }
    let admin = format!("http://{}", process.admin);
    output.result(&json!({"admin": admin, "store": store}), || {
        format!("worker of the site\nadmin   {admin}\nstore   {store}")
    });
    signals.any().await;
    output.line("stopping: what had begun is handed back");
    signals.or_end(process.stop()).await
}
