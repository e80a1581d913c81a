//! Short ways to make what the cases purge and look at.

use std::sync::Arc;

use isr_core::{
    Capabilities, CdnConnector, ConnectorError, Epoch, Mode, PageUrl, Position, PurgeBatch,
    PurgeReceipt, Tag, Target,
};

use super::{Call, ConnectorFixture};

/// A page of the fixture's site.
#[must_use]
pub fn page(fixture: &dyn ConnectorFixture, path: &str) -> PageUrl {
    PageUrl::parse(&format!("{}{path}", fixture.origin())).expect("the path is well-formed")
}

/// A page of the fixture's site, to be purged by its URL.
#[must_use]
pub fn url(fixture: &dyn ConnectorFixture, path: &str) -> Target {
    Target::Url(page(fixture, path))
}

/// A tag, by its text.
#[must_use]
pub fn tag(text: &str) -> Target {
    Target::Tag(Tag::new(text).expect("the tag is well-formed"))
}

/// One target of each kind that the connector takes.
#[must_use]
pub fn one_of_each(fixture: &dyn ConnectorFixture) -> Vec<Target> {
    let can = capabilities(fixture);
    every_kind(fixture)
        .into_iter()
        .filter(|target| can.takes(target))
        .collect()
}

/// One target of each kind there is.
#[must_use]
pub fn every_kind(fixture: &dyn ConnectorFixture) -> Vec<Target> {
    vec![
        url(fixture, "/blog/1"),
        tag("post:1"),
        Target::Prefix(page(fixture, "/blog")),
        Target::Host(page(fixture, "/").host().to_owned()),
        Target::Everything,
    ]
}

/// What the connector can do.
#[must_use]
pub fn capabilities(fixture: &dyn ConnectorFixture) -> Capabilities {
    fixture.connector().capabilities().clone()
}

/// The one connector that some options describe.
///
/// # Panics
///
/// When they describe more, or none.
#[must_use]
pub fn only(connectors: Vec<Arc<dyn CdnConnector>>) -> Arc<dyn CdnConnector> {
    let Ok([only]) = <[_; 1]>::try_from(connectors) else {
        panic!("the options describe one connector");
    };
    only
}

/// A batch.
///
/// # Panics
///
/// When there are no targets.
#[must_use]
pub fn batch(targets: &[Target], mode: Mode) -> PurgeBatch {
    PurgeBatch::new(targets.to_vec(), mode, position()).expect("there are targets")
}

/// Purges hard, by the connector.
///
/// # Errors
///
/// Those of the connector.
pub async fn purge(
    fixture: &dyn ConnectorFixture,
    targets: &[Target],
) -> Result<PurgeReceipt, ConnectorError> {
    let batch = batch(targets, Mode::Hard);
    fixture.connector().purge(&batch).await
}

/// What targets are sent as, sorted.
#[must_use]
pub fn wire(fixture: &dyn ConnectorFixture, targets: &[Target]) -> Vec<String> {
    let items = targets
        .iter()
        .flat_map(|target| fixture.on_the_wire(target))
        .collect();
    sorted(items)
}

/// What some calls asked for, sorted.
#[must_use]
pub fn items(calls: &[Call]) -> Vec<String> {
    sorted(calls.iter().flat_map(|call| call.items.clone()).collect())
}

fn sorted(mut items: Vec<String>) -> Vec<String> {
    items.sort_unstable();
    items
}

/// Any position: what services are called with does not depend on it.
fn position() -> Position {
    Position::new(Epoch::new(1), [1])
}
