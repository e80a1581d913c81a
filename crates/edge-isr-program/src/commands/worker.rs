//! `edge-isr worker`: carries revalidations out, and serves nothing.

use std::path::Path;

use edge_isr::config::{self, StoreConfig};
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;
use crate::render;
use crate::server::Process;
use crate::signals::StopSignals;

pub(super) async fn run(file: Option<&Path>, output: Output) -> Result<(), Failure> {
    let mut config = config::load(file)?.config;
    if matches!(config.store, StoreConfig::Memory) {
        let detail = "`store.kind` is memory, which no worker beside the server can share: choose sqlite or redis";
        return Err(Failure::Usage(detail.into()));
    }
    config.worker.enabled = true;
    let store = render::store(&config.store);
    let mut signals = StopSignals::listen()?;
    let process = Process::start(config, None).await?;
    if let Err(error) = process.store_answers().await {
        process.stop().await;
        let text = format!("{:#}", anyhow::Error::from(error));
        return Err(Failure::Unreachable(text));
    }
    let admin = format!("http://{}", process.admin);
    output.result(&json!({"admin": admin, "store": store}), || {
        format!("worker of the site\nadmin   {admin}\nstore   {store}")
    });
    signals.any().await;
    output.line("stopping: what had begun is handed back");
    signals.or_end(process.stop()).await
}
