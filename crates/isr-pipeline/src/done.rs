//! What has been done lately, so that revalidations that share pages do not do it twice.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use isr_core::{Generation, Mode, PageUrl, RevalidationId};
use quick_cache::sync::Cache;

/// Pages remembered: as many as a few revalidations under way share, at about 100 bytes each.
const REMEMBERED: usize = 50_000;

/// Something done for a page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Deed {
    /// Purged from a tier.
    Purged {
        /// The tier's name.
        tier: String,
        mode: Mode,
        /// Which repeat of which revalidation it was for; `None` the first time, which serves everybody.
        again: Option<(RevalidationId, usize)>,
    },
    /// Warmed in this place; `None` is where its host resolves to.
    Warmed(Option<String>),
}

/// How a deed was done.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    generation: Generation,
    /// What the tier can be asked by whether it has been carried out.
    pub(crate) references: Arc<[Arc<str>]>,
}

/// Deeds by page, with the generation they were done under. Only this process's own: that a page is
/// done twice elsewhere costs a request and loses nothing.
///
/// A page and a deed are known by 128 bits of a hash under keys of this process's own, so that what is
/// remembered is small and of one size. That two of them share one is less likely than a broken machine.
#[derive(Debug)]
pub(crate) struct Done {
    records: Cache<u128, Record>,
    keys: [RandomState; 2],
}

impl Done {
    pub(crate) fn new() -> Self {
        Self {
            records: Cache::new(REMEMBERED),
            keys: [RandomState::new(), RandomState::new()],
        }
    }

    fn name(&self, url: &PageUrl, deed: &Deed) -> u128 {
        let [high, low] = &self.keys;
        let hash = |key: &RandomState| u128::from(key.hash_one((url, deed)));
        hash(high) << 64 | hash(low)
    }

    /// How the deed was done under a generation that covers `least`, so that what asked for it then
    /// had been stored before it was done.
    pub(crate) fn record(&self, url: &PageUrl, deed: &Deed, least: Generation) -> Option<Record> {
        self.records
            .get(&self.name(url, deed))
            .filter(|done| done.generation.covers(least))
    }

    pub(crate) fn covers(&self, url: &PageUrl, deed: &Deed, least: Generation) -> bool {
        self.record(url, deed, least).is_some()
    }

    pub(crate) fn note(
        &self,
        url: &PageUrl,
        deed: &Deed,
        generation: Generation,
        references: Arc<[Arc<str>]>,
    ) {
        if !self.covers(url, deed, generation) {
            let record = Record {
                generation,
                references,
            };
            self.records.insert(self.name(url, deed), record);
        }
    }
}

#[cfg(test)]
mod tests {
    use isr_core::Epoch;

    use super::*;

    #[test]
    fn a_deed_serves_those_who_asked_before_it_and_nobody_after() {
        let done = Done::new();
        let url = PageUrl::parse("https://a.example/").unwrap();
        let at = |number| Generation {
            epoch: Epoch::new(1),
            number,
        };
        done.note(&url, &Deed::Warmed(None), at(5), Arc::default());
        done.note(&url, &Deed::Warmed(None), at(3), Arc::default());
        assert!(done.covers(&url, &Deed::Warmed(None), at(5)));
        assert!(done.covers(&url, &Deed::Warmed(None), at(4)));
        assert!(!done.covers(&url, &Deed::Warmed(None), at(6)));
        assert!(!done.covers(&url, &Deed::Warmed(Some("elsewhere".into())), at(5)));
        assert!(!done.covers(
            &url,
            &Deed::Warmed(None),
            Generation {
                epoch: Epoch::new(2),
                number: 5
            }
        ));
    }
}
