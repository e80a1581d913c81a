//! Rules of the product that can be left out, to see that the simulation would notice.
//!
//! They are left out where the simulated processes meet the store and the tiers, so that nothing of it is in
//! the product.

use std::time::Duration;

use clap::ValueEnum;
use isr_core::{BindOutcome, Receipt, SenderReport};

/// Longer than any run: what a lease lasts when nobody takes the jobs of the dead over.
const FOR_EVER: Duration = Duration::from_hours(1_000);

/// A rule that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Rule {
    /// `bind` compares a response's generation with its tags'.
    GenerationCheck,
    /// Moving a generation and queueing the job is one step.
    AtomicEnqueue,
    /// A dead worker's jobs are taken over.
    DeadClaims,
    /// A sender says that it is clean only once it is.
    CleanReport,
    /// A page that was in flight is purged only after it has had time to be stored.
    SettlingTime,
    /// A tier is waited for before the next one is purged, and before anything counts as confirmed.
    ConfirmOrder,
    /// A call that did not reach a tier has not been carried out.
    UnreachedTier,
    /// A revalidation is made once more when the replica lag has passed.
    ReplicaLag,
    /// Where tiers re-cache among themselves, everything is purged a second time.
    SecondPurge,
    /// A store that may have lost something begins another epoch.
    NewEpoch,
    /// After a loss, everything is purged where that is what was chosen.
    PurgeAfterLoss,
    /// A scheduled revalidation that is due is begun, and somebody gets its job.
    DueSchedule,
    /// A scheduled revalidation waits for its time.
    ScheduledTime,
    /// One that has been called off does not begin.
    CalledOff,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 14] = [
        Self::GenerationCheck,
        Self::AtomicEnqueue,
        Self::DeadClaims,
        Self::CleanReport,
        Self::SettlingTime,
        Self::ConfirmOrder,
        Self::UnreachedTier,
        Self::ReplicaLag,
        Self::SecondPurge,
        Self::NewEpoch,
        Self::PurgeAfterLoss,
        Self::DueSchedule,
        Self::ScheduledTime,
        Self::CalledOff,
    ];

    /// The word for it on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GenerationCheck => "generation-check",
            Self::AtomicEnqueue => "atomic-enqueue",
            Self::DeadClaims => "dead-claims",
            Self::CleanReport => "clean-report",
            Self::SettlingTime => "settling-time",
            Self::ConfirmOrder => "confirm-order",
            Self::UnreachedTier => "unreached-tier",
            Self::ReplicaLag => "replica-lag",
            Self::SecondPurge => "second-purge",
            Self::NewEpoch => "new-epoch",
            Self::PurgeAfterLoss => "purge-after-loss",
            Self::DueSchedule => "due-schedule",
            Self::ScheduledTime => "scheduled-time",
            Self::CalledOff => "called-off",
        }
    }
}

/// The rules as they hold in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules(pub(crate) Option<Rule>);

impl Rules {
    pub(crate) fn hold(self, rule: Rule) -> bool {
        self.0 != Some(rule)
    }

    pub(crate) fn lease(self, lease: Duration) -> Duration {
        if self.hold(Rule::DeadClaims) {
            lease
        } else {
            FOR_EVER
        }
    }

    pub(crate) fn settling_time(self, delay: Duration) -> Duration {
        if self.hold(Rule::SettlingTime) {
            delay
        } else {
            Duration::ZERO
        }
    }

    /// A revalidation as the store is asked for it.
    pub(crate) fn asked(self, receipt: Receipt) -> Receipt {
        let mut receipt = receipt;
        if !self.hold(Rule::ScheduledTime) {
            receipt.options.at = None;
        }
        receipt
    }

    pub(crate) fn report(self, report: &SenderReport) -> SenderReport {
        let mut report = report.clone();
        if !self.hold(Rule::CleanReport) {
            report.clean = report.known.clone();
        }
        report
    }

    pub(crate) fn outcomes(self, outcomes: Vec<BindOutcome>) -> Vec<BindOutcome> {
        if self.hold(Rule::GenerationCheck) {
            return outcomes;
        }
        let bound = |outcome: BindOutcome| BindOutcome::Bound {
            current: outcome.current(),
        };
        outcomes.into_iter().map(bound).collect()
    }
}
