//! From a batch to the body of a call.

use isr_core::{Capabilities, PurgeBatch, Target};
use serde::Serialize;
use uuid::Uuid;

/// The body of a call.
#[derive(Debug, Serialize)]
pub(crate) struct Body<'b> {
    id: Uuid,
    mode: &'static str,
    targets: Vec<Written<'b>>,
}

/// A target, by the name of its kind. An answer names it in the same way.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Written<'b> {
    Tag(&'b str),
    Url(&'b str),
    Prefix(&'b str),
    Host(&'b str),
    /// Only ever true.
    Everything(bool),
}

/// Writes a batch; the error is the first target that the receiver does not take.
pub(crate) fn body<'b>(
    batch: &'b PurgeBatch,
    soft: bool,
    can: &Capabilities,
) -> Result<Body<'b>, &'b Target> {
    let each = batch.targets().iter();
    let targets = each.map(|target| match written(target) {
        Some(written) if can.takes(target) => Ok(written),
        _ => Err(target),
    });
    Ok(Body {
        id: batch.id(),
        mode: if soft { "soft" } else { "hard" },
        targets: targets.collect::<Result<_, _>>()?,
    })
}

/// How a target is written, if it is of a kind that is known here.
pub(crate) fn written(target: &Target) -> Option<Written<'_>> {
    match target {
        Target::Tag(tag) => Some(Written::Tag(tag.as_str())),
        Target::Url(url) => Some(Written::Url(url.as_str())),
        Target::Prefix(prefix) => Some(Written::Prefix(prefix.as_str())),
        Target::Host(host) => Some(Written::Host(host)),
        Target::Everything => Some(Written::Everything(true)),
        _ => None,
    }
}
