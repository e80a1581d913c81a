//! `edge-isr release`: what is held goes on.

use std::path::Path;

use crate::admin::{ReceiptList, ReceiptView};
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;

/// The most that one request gives.
const MOST: &str = "1000";

pub(super) async fn run(
    arguments: &cli::Release,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::new(&arguments.server, file, output).await?;
    let ids = if arguments.all {
        held(&client).await?
    } else {
        arguments.ids.clone()
    };
    let (mut released, mut refused) = (Vec::new(), Vec::new());
    for id in &ids {
        match release(&client, id).await {
            Ok(receipt) => released.push(receipt),
            // Somebody else may have called it off since it was listed.
            Err(Failure::Asked(_)) if arguments.all => {}
            // The others are released all the same.
            Err(Failure::Asked(why)) => refused.push(why),
            Err(failure) => return Err(failure),
        }
    }
    let list = ReceiptList {
        receipts: released,
        next: None,
    };
    if refused.is_empty() || !list.receipts.is_empty() {
        output.result(&list, || render::released(&list.receipts));
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(Failure::Asked(refused.join("\n")))
    }
}

async fn release(client: &Client, id: &str) -> Result<ReceiptView, Failure> {
    let path = ["revalidations", id, "release"];
    let nothing = std::time::Duration::ZERO;
    let (_, receipt) = client.post(&path, &serde_json::json!({}), nothing).await?;
    Ok(receipt)
}

/// Everything that is held.
async fn held(client: &Client) -> Result<Vec<String>, Failure> {
    let (mut ids, mut next) = (Vec::new(), None::<String>);
    loop {
        let mut query = vec![("phase", "held"), ("limit", MOST)];
        query.extend(next.as_deref().map(|next| ("after", next)));
        let some: ReceiptList = client.get(&["receipts"], &query).await?;
        ids.extend(some.receipts.into_iter().map(|receipt| receipt.id));
        next = some.next;
        if next.is_none() {
            return Ok(ids);
        }
    }
}
