//! What can go wrong, what of it does in a run, and how often it did.

use std::fmt;

use rand::RngExt;
use rand::rngs::StdRng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A call to the store takes long, on the way there or back.
    Delay,
    /// A call to the store is delivered a second time, perhaps after the answer to the first.
    Duplicate,
    /// A call to the store never arrives, and its caller is told so.
    LostCall,
    /// A call to the store takes effect, and its caller is told that it failed.
    LostAnswer,
    /// A call to the store takes effect after its caller was told that it failed.
    LateCall,
    /// A process is gone from one call to the next, with all that it had in memory.
    Crash,
    /// A process cannot reach the store for a while.
    Partition,
    /// A process stands still for a while, and its clock does not.
    Pause,
    /// A process's clock shows another time, and goes faster or slower.
    Skew,
    /// The store is away for a while, and comes back with its data.
    StoreRestart,
    /// A tier does not take a call.
    TierLost,
    /// A tier takes effect or answers late.
    TierLate,
    /// A tier carries a call out, and its answer is lost.
    TierAnswerLost,
    /// A render, or the sending of a response, takes long.
    SlowRender,
    /// A process cannot reach a tier for a while: its calls are lost, held back, or arrive when it has been
    /// told that they failed, and answers under way are lost.
    TierPartition,
    /// A page is rendered from data that have been replaced.
    ReplicaLag,
    /// The store comes back with an older state, or with none.
    LostHistory,
    /// A CDN of two tiers takes a copy from its shield before the shield has been purged.
    Recaching,
    /// A revalidation counts in one partition later than in another.
    LatePartition,
    /// A call ends with an error when a revalidation counts in some partitions and not yet in others.
    TornRevalidation,
    /// A call to the store arrives after one that its process made later. It comes of the others.
    Reordered,
    /// A process is started in the place of one that has died. It comes of crashes.
    Restart,
    /// A scheduled revalidation becomes due while a process is going to crash at one of its next calls.
    CrashWhenDue,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 23] = [
        Self::Delay,
        Self::Duplicate,
        Self::LostCall,
        Self::LostAnswer,
        Self::LateCall,
        Self::Crash,
        Self::Partition,
        Self::Pause,
        Self::Skew,
        Self::StoreRestart,
        Self::TierLost,
        Self::TierLate,
        Self::TierAnswerLost,
        Self::SlowRender,
        Self::TierPartition,
        Self::ReplicaLag,
        Self::LostHistory,
        Self::Recaching,
        Self::LatePartition,
        Self::TornRevalidation,
        Self::Reordered,
        Self::Restart,
        Self::CrashWhenDue,
    ];

    /// What the report calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delay => "calls delayed",
            Self::Duplicate => "calls delivered twice",
            Self::LostCall => "calls lost",
            Self::LostAnswer => "answers lost",
            Self::LateCall => "calls that failed and took effect later",
            Self::Crash => "crashes",
            Self::Partition => "partitions",
            Self::Pause => "pauses",
            Self::Skew => "clocks skewed",
            Self::StoreRestart => "store restarts",
            Self::TierLost => "tier calls lost",
            Self::TierLate => "tier calls late",
            Self::TierAnswerLost => "tier answers lost",
            Self::SlowRender => "slow responses",
            Self::TierPartition => "partitions from a tier",
            Self::ReplicaLag => "renders from data that lag",
            Self::Recaching => "copies taken from a shield",
            Self::LostHistory => "histories lost",
            Self::LatePartition => "revalidations late in a partition",
            Self::TornRevalidation => "revalidations torn between partitions",
            Self::Reordered => "calls overtaken by later ones",
            Self::Restart => "restarts of processes",
            Self::CrashWhenDue => "processes to crash when a schedule is due",
        }
    }
}

/// A set of kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults(u32);

impl Faults {
    /// Every kind.
    pub const ALL: Self = Self((1 << Fault::ALL.len()) - 1);

    /// Some kinds: where everything fails at once, little ever happens that could be lost.
    pub(crate) fn random(random: &mut StdRng) -> Self {
        let often = random.random_range(0.2..1.0);
        let leave_out = |faults: Self, fault: Fault| {
            if random.random_bool(often) {
                faults
            } else {
                faults.without(fault)
            }
        };
        Fault::ALL.into_iter().fold(Self::ALL, leave_out)
    }

    /// Whether a kind is among them.
    #[must_use]
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u16) != 0
    }

    /// The same without a kind.
    #[must_use]
    pub const fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u16))
    }
}

/// How often each kind was injected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Fault::ALL.len()]);

impl Counts {
    pub(crate) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// How many there were in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in Fault::ALL {
            writeln!(f, "{:>12}  {}", self.0[fault as usize], fault.as_str())?;
        }
        write!(f, "{:>12}  faults in all", self.total())
    }
}
