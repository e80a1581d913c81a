//! `edge-isr revalidate`: something changed.

use std::path::Path;
use std::time::Duration;

use http::StatusCode;

use crate::admin::{Asker, ModeView, ReceiptView, RevalidateAnswer, RevalidateRequest, Wait};
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;

pub(super) async fn run(
    arguments: &cli::Revalidate,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    if let Some(id) = &arguments.cancel {
        return cancel(id, &arguments.server, file, output).await;
    }
    let no_target = arguments.tags.is_empty()
        && arguments.urls.is_empty()
        && arguments.prefixes.is_empty()
        && arguments.hosts.is_empty();
    if no_target && !arguments.everything {
        return Err(Failure::Usage(
            "nothing to revalidate: name tags, or --url, --prefix, --host or --everything".into(),
        ));
    }
    let request = RevalidateRequest {
        tags: arguments.tags.clone(),
        urls: arguments.urls.clone(),
        prefixes: arguments.prefixes.clone(),
        hosts: arguments.hosts.clone(),
        everything: arguments.everything,
        mode: arguments.hard.then_some(ModeView::Hard),
        at: arguments.at.clone(),
        hold: arguments.hold.asked(),
        dry_run: arguments.dry_run,
        ..RevalidateRequest::default()
    };
    let client = Client::new(&arguments.server, file, output).await?;
    send(&client, request, &arguments.wait, output).await
}

async fn cancel(
    id: &str,
    server: &cli::Server,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::new(server, file, output).await?;
    let receipt: ReceiptView = client.delete(&["receipts", id]).await?;
    output.result(&receipt, || render::receipt(&receipt, output));
    Ok(())
}

/// Sends a request, shows the answer, and fails when what was waited for did not come about.
pub(super) async fn send(
    client: &Client,
    mut request: RevalidateRequest,
    wait: &cli::Wait,
    output: Output,
) -> Result<(), Failure> {
    request.source = Asker::CommandLine;
    request.wait = match (wait.until, wait.until_edges_know) {
        (Some(until), _) => until.into(),
        (None, true) => Wait::Edges,
        (None, false) => Wait::None,
    };
    request.timeout_seconds = Some(wait.timeout);
    let (status, answer): (_, RevalidateAnswer) = client
        .post(&["revalidate"], &request, Duration::from_secs(wait.timeout))
        .await?;
    match &answer {
        RevalidateAnswer::Plan(plan) => {
            output.result(plan, || render::plan(plan));
            Ok(())
        }
        RevalidateAnswer::Receipt(receipt) => {
            output.result(receipt, || render::receipt(receipt, output));
            let waited = request.wait != Wait::None;
            let late = waited && status != StatusCode::OK;
            verdict(receipt, late.then_some(wait.timeout))
        }
    }
}

impl From<cli::Until> for Wait {
    fn from(until: cli::Until) -> Self {
        match until {
            cli::Until::Edges => Self::Edges,
            cli::Until::Purged => Self::Purged,
            cli::Until::Settled => Self::Settled,
            cli::Until::Done => Self::Done,
        }
    }
}

/// Whether all went well. `late` is how many seconds were waited in vain.
pub(super) fn verdict(receipt: &ReceiptView, late: Option<u64>) -> Result<(), Failure> {
    if receipt.phase == "failed" {
        let error = receipt.error.as_deref().unwrap_or("see the receipt");
        return Err(Failure::Asked(format!("the revalidation failed: {error}")));
    }
    if receipt.tiers.iter().any(|tier| tier.state == "failed") {
        return Err(Failure::Asked(
            "the revalidation failed on a tier: see above".into(),
        ));
    }
    match late {
        Some(_) if receipt.phase == "held" => Err(Failure::Asked(format!(
            "it is held{}: `edge-isr release {id}` lets it go on, `edge-isr revalidate --cancel {id}` calls its \
             purges and warm-ups off",
            render::why_held(receipt),
            id = receipt.id,
        ))),
        Some(seconds) => Err(Failure::Asked(format!(
            "it has not come so far within {seconds} s, and goes on: status --receipt {}",
            receipt.id
        ))),
        None => Ok(()),
    }
}
