//! What may be chosen about an embedded store.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isr_core::Clock;

use super::state::micros;
use crate::RECEIPTS_KEPT;

/// What an acknowledged change survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// A crash of any process that uses the store. After a crash of the whole machine the newest changes
    /// may be missing; the store notices that and begins a new epoch, so that nothing older is taken
    /// for current. The default.
    #[default]
    Process,
    /// A crash of the machine, and loss of power, as far as its disk keeps what it acknowledges.
    /// Each group of changes waits for the disk once.
    Machine,
}

/// How an embedded store behaves.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The site whose pages the file holds. A file of another site is refused. Default: `default`.
    pub site: String,
    /// What an acknowledged change survives. Default: [`Durability::Process`].
    pub durability: Durability,
    /// The most bytes that the file may grow to, in whole pages of 4 KiB; the write-ahead log beside it
    /// is not counted. At the limit, changes fail with [`isr_core::StoreError::Full`] and everything
    /// stays readable. Default: no limit.
    pub max_bytes: Option<NonZeroU64>,
    /// How many bytes the write-ahead log grows to before it is copied into the file, beside those who
    /// write; what they add until that is done comes on top, usually about half as much again. It
    /// grows further while somebody reads an old state of the file, and is cut to twice this size after
    /// that. A smaller log is copied more often, and costs more writing in all. Default: 64 MiB.
    pub log_bytes: NonZeroU64,
    /// Memory for the writer's page cache, in bytes. Each reader takes an eighth of it. Default: 64 MiB.
    pub cache_bytes: usize,
    /// How many may read at once. Default: 4.
    pub readers: NonZeroUsize,
    /// Revalidations remembered for those who follow them. Default: 100 000.
    pub history: NonZeroU64,
    /// Targets whose generations are told apart; older ones share one floor. Default: 200 000.
    pub targets: NonZeroU64,
    /// Revalidations and pages that may wait, each. Default: 1 000 000.
    pub queue: u64,
    /// How long receipts of finished revalidations are kept. Default: a day.
    pub keep_receipts: Duration,
    /// The unit that the ends of copies' lifetimes are rounded up to: within it, binding an unchanged
    /// page again writes nothing. At least 1 ms. Default: one minute.
    pub ends_unit: Duration,
    /// Names the boot of the machine that the process runs under, by which a crash of the machine is noticed
    /// ([`Durability::Process`]). Default: as the system says, which Linux does; elsewhere such a crash goes
    /// unnoticed unless it is named here.
    pub boot: Option<u128>,
    /// Whose time of day leases, delays and lifetimes go by; it must be the same for everybody who has
    /// the file open. Default: the machine's.
    pub clock: Option<Arc<dyn Clock>>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            site: "default".to_owned(),
            durability: Durability::default(),
            max_bytes: None,
            log_bytes: NonZeroU64::new(64 * 1024 * 1024).expect("64 MiB are not zero"),
            cache_bytes: 64 * 1024 * 1024,
            readers: NonZeroUsize::new(4).expect("4 is not zero"),
            history: NonZeroU64::new(100_000).expect("100 000 is not zero"),
            targets: NonZeroU64::new(200_000).expect("200 000 is not zero"),
            queue: 1_000_000,
            keep_receipts: RECEIPTS_KEPT,
            ends_unit: Duration::from_mins(1),
            boot: None,
            clock: None,
        }
    }
}

impl SqliteOptions {
    /// What the clock shows, in microseconds since 1970.
    pub(super) fn machine_time(&self) -> i64 {
        let time = self
            .clock
            .as_ref()
            .map_or_else(SystemTime::now, |clock| clock.time_of_day());
        micros(
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
        )
    }
}
