//! `edge-isr graph`: the tag graph.

use std::path::Path;

use crate::admin::GraphView;
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;

pub(super) async fn run(
    what: &cli::Graph,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let cli::Graph::Stats(server) = what;
    let client = Client::new(server, file, output).await?;
    let graph: GraphView = client.get(&["graph"], &[]).await?;
    output.result(&graph, || render::graph(&graph, output));
    Ok(())
}
