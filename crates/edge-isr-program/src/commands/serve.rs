//! `edge-isr serve`: the edge cache, the worker and the admin API.

use std::path::Path;

use edge_isr::config::{self, Config};
use serde_json::json;

use crate::cli;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;
use crate::server::Server;
use crate::signals::StopSignals;

use super::store_at_start;

pub(super) async fn run(
    arguments: &cli::Serve,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let config = config::load(file)?.config;
    let mut signals = StopSignals::listen()?;
    let shown = Shown::of(&config);
    let server = Server::start(config).await?;
    let meanwhile = "pages are served with short lifetimes until it can";
    let store = store_at_start(&server.process, &arguments.store, meanwhile).await;
    if let Err(failure) = store {
        server.stop().await;
        return Err(failure);
    }
    let (edge, admin) = (
        format!("http://{}", server.edge),
        format!("http://{}", server.process.admin),
    );
    let ready = json!({"edge": edge, "admin": admin, "origin": shown.origin, "store": shown.store});
    output.result(&ready, || {
        format!(
            "edge    {edge}  in front of {}\nadmin   {admin}\nstore   {}",
            shown.origin, shown.store
        )
    });
    signals.any().await;
    output.line("stopping: requests under way are finished first; a second signal breaks them off");
    signals.or_end(server.stop()).await
}

/// What is said of a configuration.
struct Shown {
    origin: String,
    store: String,
}

impl Shown {
    fn of(config: &Config) -> Self {
        let origin = config
            .site
            .origin
            .as_ref()
            .map(|origin| origin.as_str().to_owned());
        Self {
            origin: origin.unwrap_or_default(),
            store: render::store(&config.store),
        }
    }
}
