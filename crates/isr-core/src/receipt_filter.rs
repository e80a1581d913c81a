//! Which receipts are wanted.

use crate::{Phase, Receipt, Source, Target, Timestamp};

/// Which receipts are wanted: those that everything here applies to. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptFilter {
    /// At one of these phases; none given means at any.
    pub phases: Vec<Phase>,
    /// Settled, or not.
    pub settled: Option<bool>,
    /// Aimed at this, as it was named: a revalidation of a tag is not one of the pages that show it.
    pub target: Option<Target>,
    /// Asked for by this.
    pub source: Option<Source>,
    /// Accepted at this time or later, by the store's clock.
    pub since: Option<Timestamp>,
    /// Accepted at this time or earlier.
    pub until: Option<Timestamp>,
}

impl ReceiptFilter {
    /// Whether a receipt is wanted. One that does not say when it was accepted was accepted before any
    /// time.
    #[must_use]
    pub fn admits(&self, receipt: &Receipt) -> bool {
        let made = receipt.made.unwrap_or_default();
        let targets = receipt.targets.as_slice();
        (self.phases.is_empty() || self.phases.contains(&receipt.phase))
            && self
                .settled
                .is_none_or(|settled| settled == receipt.settled)
            && self.source.is_none_or(|source| source == receipt.source)
            && self.since.is_none_or(|since| since <= made)
            && self.until.is_none_or(|until| made <= until)
            && (self.target.as_ref()).is_none_or(|target| targets.binary_search(target).is_ok())
    }

    /// Whether a receipt and all that were accepted before it are too old to be wanted.
    #[must_use]
    pub fn ends_before(&self, receipt: &Receipt) -> bool {
        let made = receipt.made.unwrap_or_default();
        self.since.is_some_and(|since| made < since)
    }

    /// Whether any receipt is wanted.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RevalidateOptions, Targets, tag};

    #[test]
    fn a_receipt_is_wanted_only_when_everything_applies() {
        let target = |id| Target::Tag(tag("post", id));
        let targets = Targets::new([target(1), target(2)]).unwrap();
        let mut receipt = Receipt::new(targets, RevalidateOptions::default(), Source::Api);
        let time = Timestamp::from_millis;
        receipt.made = Some(time(1_000));
        let all = ReceiptFilter::default;
        let wanted = [
            all(),
            ReceiptFilter {
                phases: vec![Phase::Failed, Phase::Queued],
                ..all()
            },
            ReceiptFilter {
                settled: Some(false),
                ..all()
            },
            ReceiptFilter {
                target: Some(target(2)),
                ..all()
            },
            ReceiptFilter {
                source: Some(Source::Api),
                ..all()
            },
            ReceiptFilter {
                since: Some(time(1_000)),
                until: Some(time(1_000)),
                ..all()
            },
        ];
        let refused = [
            ReceiptFilter {
                phases: vec![Phase::Done],
                ..all()
            },
            ReceiptFilter {
                settled: Some(true),
                ..all()
            },
            ReceiptFilter {
                target: Some(target(3)),
                ..all()
            },
            ReceiptFilter {
                source: Some(Source::Library),
                ..all()
            },
            ReceiptFilter {
                since: Some(time(1_001)),
                ..all()
            },
            ReceiptFilter {
                until: Some(time(999)),
                ..all()
            },
        ];
        for filter in &wanted {
            assert!(filter.admits(&receipt), "{filter:?}");
            for other in &refused {
                let both = ReceiptFilter {
                    phases: [filter.phases.clone(), other.phases.clone()].concat(),
                    settled: other.settled.or(filter.settled),
                    target: other.target.clone().or_else(|| filter.target.clone()),
                    source: other.source.or(filter.source),
                    since: other.since.or(filter.since),
                    until: other.until.or(filter.until),
                };
                let widened = !filter.phases.is_empty() && !other.phases.is_empty();
                assert!(widened || !both.admits(&receipt), "{both:?}");
            }
        }
        assert!(refused[4].ends_before(&receipt) && !refused[5].ends_before(&receipt));
    }
}
