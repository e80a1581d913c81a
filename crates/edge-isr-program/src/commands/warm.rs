//! `edge-isr warm`: caches are to hold these pages.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::admin::WarmAnswer;
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;

/// How long warming may take in all.
const PATIENCE: Duration = Duration::from_mins(10);

pub(super) async fn run(
    arguments: &cli::Warm,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::new(&arguments.server, file, output).await?;
    let (_, answer): (_, WarmAnswer) = client
        .post(&["warm"], &json!({"urls": arguments.urls}), PATIENCE)
        .await?;
    output.result(&answer, || render::warmed(&answer));
    match answer
        .requests
        .iter()
        .filter(|request| request.outcome == "failed")
        .count()
    {
        0 => Ok(()),
        failed => Err(Failure::Asked(format!("{failed} requests failed"))),
    }
}
