//! What a walk has found and has not been sent.

use std::collections::VecDeque;

use isr_core::{PageUrl, Target};

use crate::under_way::Portions;
use crate::walk::Place;

/// What has been found and not been sent, and where each part of it was found.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    targets: VecDeque<Target>,
    /// Where the walk stood before it found the next so many targets.
    found_from: VecDeque<(Place, usize)>,
}

impl Gathered {
    pub(crate) fn add(&mut self, from: Place, targets: Vec<Target>) {
        if !targets.is_empty() {
            self.found_from.push_back((from, targets.len()));
            self.targets.extend(targets);
        }
    }

    fn len(&self) -> usize {
        self.targets.len()
    }

    /// Where to begin again so as to find everything that is still here.
    pub(crate) fn place(&self) -> Option<&Place> {
        self.found_from.front().map(|(place, _)| place)
    }

    /// The first so many, if they are there, but none of the pages at their end that would not fill a call.
    pub(crate) fn take_full_calls(&mut self, portions: Portions) -> Option<Vec<Target>> {
        if self.len() < portions.order {
            return None;
        }
        let first = self.targets.range(..portions.order);
        let pages = first.rev().map_while(page_of).count();
        Some(self.take(portions.order - pages % portions.call))
    }

    pub(crate) fn take_all(&mut self) -> Vec<Target> {
        self.take(self.len())
    }

    fn take(&mut self, count: usize) -> Vec<Target> {
        let mut left = count;
        while let Some((_, found)) = self.found_from.front_mut() {
            if *found > left {
                *found -= left;
                break;
            }
            left -= *found;
            self.found_from.pop_front();
        }
        self.targets.drain(..count).collect()
    }
}

pub(crate) const fn page_of(target: &Target) -> Option<&PageUrl> {
    match target {
        Target::Url(url) => Some(url),
        _ => None,
    }
}
