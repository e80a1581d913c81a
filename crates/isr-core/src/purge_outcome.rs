//! What comes of a batch that takes several requests.

use crate::{ConnectorError, PurgeReceipt, Target};

/// What came of one request of several that a batch takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeOutcome {
    /// It was carried out.
    Purged {
        /// How many targets it was about.
        targets: u64,
        /// Copies that went or became stale, where the tier counts them.
        copies: Option<u64>,
    },
    /// It was refused for good, which concerns nothing but what it was about.
    Refused {
        /// What it was about.
        targets: Vec<Target>,
        /// The tier's reason.
        reason: String,
    },
}

impl PurgeOutcome {
    /// What a request about `targets` came to that was answered like this.
    ///
    /// # Errors
    ///
    /// One that may pass ends the whole batch, which is sent again; and so does a refusal that is over who
    /// called, which every other request would meet too.
    pub fn of(
        targets: Vec<Target>,
        answer: Result<Option<u64>, ConnectorError>,
    ) -> Result<Self, ConnectorError> {
        match answer {
            Ok(copies) => Ok(Self::Purged {
                targets: targets.len() as u64,
                copies,
            }),
            Err(ConnectorError::Refused {
                reason,
                over_targets: true,
                ..
            }) => Ok(Self::Refused { targets, reason }),
            Err(error) => Err(error),
        }
    }
}

impl PurgeReceipt {
    /// Adds what came of one request more.
    pub fn add(&mut self, outcome: PurgeOutcome) {
        match outcome {
            PurgeOutcome::Purged { targets, copies } => {
                self.accepted += targets;
                if let Some(copies) = copies {
                    *self.copies.get_or_insert(0) += copies;
                }
            }
            PurgeOutcome::Refused { targets, reason } => {
                let refused = targets.into_iter().map(|target| (target, reason.clone()));
                self.rejected.extend(refused);
            }
        }
    }

    /// The receipt, if anything was taken on.
    ///
    /// # Errors
    ///
    /// Where everything was refused the call was, for the first of the reasons.
    pub fn unless_all_refused(self, connector: &str) -> Result<Self, ConnectorError> {
        match self.rejected.first() {
            Some((_, reason)) if self.accepted == 0 => Err(ConnectorError::refused_over_targets(
                connector,
                reason.as_str(),
            )),
            _ => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag;

    fn targets(count: usize) -> Vec<Target> {
        (0..count).map(|n| Target::Tag(tag("t", n))).collect()
    }

    fn refusal(reason: &str) -> Result<Option<u64>, ConnectorError> {
        Err(ConnectorError::refused_over_targets("cdn", reason))
    }

    #[test]
    fn requests_add_up() {
        let mut receipt = PurgeReceipt::default();
        for (count, answer) in [(2, Ok(None)), (1, Ok(Some(3))), (2, refusal("no"))] {
            receipt.add(PurgeOutcome::of(targets(count), answer).unwrap());
        }
        receipt.add(PurgeOutcome::of(targets(1), Ok(Some(0))).unwrap());
        assert_eq!((receipt.accepted, receipt.copies), (4, Some(3)));
        let reasons: Vec<&str> = receipt.rejected.iter().map(|(_, why)| &**why).collect();
        assert_eq!(reasons, ["no", "no"]);
        assert_eq!(receipt.clone().unless_all_refused("cdn").unwrap(), receipt);
    }

    #[test]
    fn where_everything_is_refused_so_is_the_call() {
        let mut receipt = PurgeReceipt::default();
        assert!(receipt.clone().unless_all_refused("cdn").is_ok());
        for reason in ["first", "second"] {
            receipt.add(PurgeOutcome::of(targets(1), refusal(reason)).unwrap());
        }
        let error = receipt.unless_all_refused("cdn").unwrap_err();
        assert_eq!(error.to_string(), "cdn refused the purge: first");
    }

    #[test]
    fn what_is_not_over_a_target_ends_the_batch() {
        let away = Err(ConnectorError::unreachable("cdn", "it is away"));
        let error = PurgeOutcome::of(targets(1), away).unwrap_err();
        assert!(error.is_retryable());
        let stranger = Err(ConnectorError::refused("cdn", "who are you?"));
        assert!(PurgeOutcome::of(targets(1), stranger).is_err());
    }
}
