//! Filling calls.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use crate::{Capabilities, Target};

/// What stands around an item in a call, about: quotation marks, a comma, an element's name.
const AROUND_ITEM: usize = 16;

/// Takes as many targets from the front as one call holds: of one kind, unless the tier mixes them,
/// within its limits of items and bytes, and at least one.
///
/// # Panics
///
/// When the tier does not take a target: whoever queues them has seen to that.
pub fn next_call(queue: &mut VecDeque<Target>, capabilities: &Capabilities) -> Vec<Target> {
    let mut filling = Filling::default();
    let mut call = Vec::new();
    while let Some(target) = queue.front() {
        if !filling.take(target, capabilities) {
            break;
        }
        call.extend(queue.pop_front());
    }
    call
}

/// The calls that it takes to purge all of some targets.
#[must_use]
pub fn calls(targets: impl IntoIterator<Item = Target>, can: &Capabilities) -> Vec<Vec<Target>> {
    let mut queue: VecDeque<Target> = targets.into_iter().collect();
    let mut calls = Vec::new();
    while !queue.is_empty() {
        calls.push(next_call(&mut queue, can));
    }
    calls
}

/// How full a call is.
#[derive(Clone, Debug, Default)]
pub struct Filling {
    kind: Option<&'static str>,
    items: usize,
    bytes: usize,
    limit: Option<NonZeroUsize>,
}

impl Filling {
    /// Adds a target if there is room for it, which there always is in an empty call; says whether
    /// there was.
    ///
    /// # Panics
    ///
    /// When the tier does not take the target.
    pub fn take(&mut self, target: &Target, capabilities: &Capabilities) -> bool {
        let ability = capabilities
            .ability(target)
            .expect("only what a tier takes is put into its calls");
        let size = usize::try_from(ability.items_per_target.get()).unwrap_or(usize::MAX);
        let (items, bytes) = (
            self.items.saturating_add(size),
            self.bytes + length(target) + AROUND_ITEM,
        );
        let limit = [self.limit, ability.items_per_call]
            .into_iter()
            .flatten()
            .min();
        let fits = self.kind.is_none_or(|kind| {
            (capabilities.mixed_calls || kind == target.kind())
                && limit.is_none_or(|limit| items <= limit.get())
                && capabilities
                    .bytes_per_call
                    .is_none_or(|limit| bytes <= limit.get())
        });
        if fits {
            *self = Self {
                kind: Some(target.kind()),
                items,
                bytes,
                limit,
            };
        }
        fits
    }

    /// What the targets taken so far count as.
    #[must_use]
    pub const fn items(&self) -> usize {
        self.items
    }
}

fn length(target: &Target) -> usize {
    match target {
        Target::Tag(tag) => tag.as_str().len(),
        Target::Url(url) | Target::Prefix(url) => url.as_str().len(),
        Target::Host(host) => host.len(),
        Target::Everything => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ability, PageUrl, tag};

    fn can(items: usize) -> Capabilities {
        let ability = Ability::UNLIMITED.in_batches_of(NonZeroUsize::new(items).unwrap());
        Capabilities {
            url: Some(ability.clone()),
            tag: Some(ability),
            ..Capabilities::default()
        }
    }

    fn tags(count: usize) -> impl Iterator<Item = Target> {
        (0..count).map(|n| Target::Tag(tag("t", n)))
    }

    fn page(path: &str) -> Target {
        Target::Url(PageUrl::parse(&format!("https://a.example{path}")).unwrap())
    }

    fn sizes(targets: impl Iterator<Item = Target>, can: &Capabilities) -> Vec<usize> {
        calls(targets, can).iter().map(Vec::len).collect()
    }

    #[test]
    fn calls_are_filled_to_the_limit() {
        assert_eq!(sizes(tags(0), &can(3)), [0; 0]);
        assert_eq!(sizes(tags(3), &can(3)), [3]);
        assert_eq!(sizes(tags(4), &can(3)), [3, 1]);
        assert_eq!(sizes(tags(9), &can(3)), [3, 3, 3]);
    }

    #[test]
    fn a_call_has_one_kind_unless_the_tier_mixes_them() {
        let mixed = || tags(2).chain([page("/1"), page("/2")]);
        assert_eq!(sizes(mixed(), &can(3)), [2, 2]);
        let mixing = Capabilities {
            mixed_calls: true,
            ..can(3)
        };
        assert_eq!(sizes(mixed(), &mixing), [3, 1]);
    }

    #[test]
    fn bytes_are_limited_too_but_one_item_always_goes() {
        let tight = Capabilities {
            bytes_per_call: NonZeroUsize::new(2 * (AROUND_ITEM + 3)),
            ..can(100)
        };
        assert_eq!(sizes(tags(5), &tight), [2, 2, 1]);
        let long = Capabilities {
            bytes_per_call: NonZeroUsize::new(1),
            ..can(100)
        };
        assert_eq!(sizes(tags(2), &long), [1, 1]);
    }

    #[test]
    fn a_target_may_count_as_several_items() {
        let mut can = can(6);
        can.tag.as_mut().unwrap().items_per_target = 3.try_into().unwrap();
        assert_eq!(sizes(tags(3), &can), [2, 1]);
    }
}
