//! `edge-isr receipts`: revalidations, newest first.

use std::path::Path;

use crate::admin::ReceiptList;
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;

/// The most that one request gives.
const MOST: usize = 1000;

pub(super) async fn run(
    arguments: &cli::Receipts,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::new(&arguments.server, file, output).await?;
    let limit = if arguments.all {
        usize::MAX
    } else {
        usize::try_from(arguments.limit).unwrap_or(MOST)
    };
    let mut list = ReceiptList {
        receipts: Vec::new(),
        next: arguments.after.clone(),
    };
    loop {
        let some = some(
            &client,
            arguments,
            list.next.take(),
            limit - list.receipts.len(),
        )
        .await?;
        list.receipts.extend(some.receipts);
        list.next = some.next;
        if list.next.is_none() || list.receipts.len() >= limit {
            break;
        }
    }
    output.result(&list, || render::receipts(&list));
    Ok(())
}

async fn some(
    client: &Client,
    arguments: &cli::Receipts,
    after: Option<String>,
    limit: usize,
) -> Result<ReceiptList, Failure> {
    let phases = (!arguments.phases.is_empty()).then(|| arguments.phases.join(","));
    let settled = match (arguments.settled, arguments.unsettled) {
        (true, _) => Some("true".to_owned()),
        (_, true) => Some("false".to_owned()),
        _ => None,
    };
    let query = [
        ("limit", Some(limit.min(MOST).to_string())),
        ("after", after),
        ("phase", phases),
        ("settled", settled),
        ("tag", arguments.tag.clone()),
        ("url", arguments.url.clone()),
        ("source", arguments.source.clone()),
        ("since", arguments.since.clone()),
        ("until", arguments.until.clone()),
    ];
    let given = query
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    client.get(&["receipts"], &given.collect::<Vec<_>>()).await
}
