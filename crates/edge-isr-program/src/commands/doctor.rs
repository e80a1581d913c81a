//! `edge-isr doctor`: whether everything that a site is made of can be reached and used.

use std::path::Path;
use std::time::Duration;

use edge_isr::config::StoreConfig;
use edge_isr::connectors::Registry;
use edge_isr::core::Finding;
use edge_isr::{SiteHandle, config, examine};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::output::{Column, Lines, Output, table};
use crate::server::usage;

/// How long anything may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something that was found out about one part.
#[derive(Debug, Serialize)]
struct Found {
    part: String,
    good: bool,
    finding: String,
}

pub(super) async fn run(file: Option<&Path>, output: Output) -> Result<(), Failure> {
    let loaded = config::load(file)?;
    let site = SiteHandle::open(loaded.config, &Registry::built_in(), Vec::new());
    let site = site.map_err(usage)?;
    let mut found = Vec::new();
    let is_made = !matches!(&site.config().store, StoreConfig::Sqlite { path } if !path.exists());
    note(&mut found, "store", [store(&site, is_made).await]);
    if let Some(origin) = &site.config().site.origin {
        note(
            &mut found,
            "origin",
            [reach(origin.host(), origin.scheme()).await],
        );
    }
    // To look at the built-in edge would make the store.
    let tiers = site.tiers().iter();
    for tier in tiers.filter(|tier| is_made || tier.capabilities().foreign) {
        note(&mut found, tier.name(), examine(tier).await);
    }
    let wrong = found.iter().filter(|found| !found.good).count();
    output.result(&found, || text(&found, output));
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::Asked("1 thing is wrong".into())),
        wrong => Err(Failure::Asked(format!("{wrong} things are wrong"))),
    }
}

fn note(found: &mut Vec<Found>, part: &str, findings: impl IntoIterator<Item = Finding>) {
    found.extend(findings.into_iter().map(|finding| Found {
        part: part.to_owned(),
        good: finding.good,
        finding: finding.text,
    }));
}

async fn store(site: &SiteHandle, is_made: bool) -> Finding {
    let kind = site.config().store.kind();
    if !is_made {
        return Finding::good(format!(
            "the {kind} store is made when `edge-isr serve` first runs"
        ));
    }
    match timeout(PATIENCE, site.store().position()).await {
        Ok(Ok(_)) => Finding::good(format!("the {kind} store answers")),
        Ok(Err(error)) => Finding::bad(format!("{:#}", anyhow::Error::from(error))),
        Err(_) => Finding::bad(format!("the {kind} store does not answer: see store.url")),
    }
}

/// Whether somebody listens where the origin is said to be.
async fn reach(host: &str, scheme: &str) -> Finding {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    let address = match (has_port, scheme) {
        (true, _) => host.to_owned(),
        (false, "https") => format!("{host}:443"),
        (false, _) => format!("{host}:80"),
    };
    let why = match timeout(PATIENCE, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => return Finding::good(format!("{address} can be connected to")),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    Finding::bad(format!(
        "{address} cannot be connected to ({why}): see site.origin"
    ))
}

fn text(found: &[Found], output: Output) -> String {
    let columns = [
        Column::Text("part"),
        Column::Text(""),
        Column::Text("finding"),
    ];
    let row = |found: &Found| {
        let verdict = if found.good {
            output.good("good")
        } else {
            output.bad("WRONG")
        };
        vec![found.part.clone(), verdict, found.finding.clone()]
    };
    let mut text = Lines::default();
    text.block(&table(&columns, found.iter().map(row)), 0);
    text.into_text()
}
