//! What is known of one page beside its tags.

use std::time::Duration;

use isr_core::{
    Generation, Heard, Marks, PageJob, PageJobState, PageUrl, Standing, StoreError, Tag, Target,
    targets_at,
};

use super::RedisStore;
use super::error::corrupt;
use super::link::Lane;
use super::news::{ENTRIES_A_CALL, hear};
use super::scripts::{HISTORY, PAGE_JOB, STANDING};
use super::work::read_work;

/// The current number, the floors of soft and hard revalidations, and both numbers of each target.
type Marked = (u64, u64, u64, Vec<(u64, u64)>);
/// Work, state, milliseconds left, reason, attempts, and whether there is more behind it.
type Job = (String, String, u64, String, u32, bool);

impl RedisStore {
    pub(super) async fn standing_of(
        &self,
        page: &PageUrl,
        tags: &[Tag],
    ) -> Result<Standing, StoreError> {
        let targets: Vec<Target> = targets_at(page, tags.iter()).collect();
        let keys: Vec<String> = targets.iter().map(Target::key).collect();
        let partition = self.partition_of(page);
        let (epoch, (number, stale, expired, marked)): (_, Marked) = self
            .run_in_epoch(Lane::Bulk, partition, &STANDING, |_, command| {
                command.arg(&keys);
            })
            .await?;
        let marked = marked
            .into_iter()
            .map(|(stale, expired)| Marks { stale, expired });
        let known = targets.into_iter().zip(marked);
        Ok(Standing {
            current: Generation { epoch, number },
            targets: known
                .filter(|(_, marks)| *marks != Marks::default())
                .collect(),
            floor: Marks { stale, expired },
        })
    }

    pub(super) async fn history_of(
        &self,
        page: &PageUrl,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        let partition = self.partition_of(page);
        let before = before.map(|before| before.to_string()).unwrap_or_default();
        let (first, entries): (i64, Vec<String>) = self
            .run(Lane::Bulk, partition, &HISTORY, |_, command| {
                command.arg(&before).arg(limit.clamp(1, ENTRIES_A_CALL));
            })
            .await?;
        let numbers = (0..=u64::try_from(first).unwrap_or_default()).rev();
        let heard = numbers
            .zip(&entries)
            .map(|(number, entry)| hear(partition, number, entry));
        heard.collect()
    }

    pub(super) async fn job_of(&self, page: &PageUrl) -> Result<Option<PageJob>, StoreError> {
        let found: Option<Job> = self
            .run(
                Lane::Bulk,
                self.partition_of(page),
                &PAGE_JOB,
                |_, command| {
                    command.arg(page.as_str());
                },
            )
            .await?;
        let Some((work, state, left, error, attempts, again)) = found else {
            return Ok(None);
        };
        let left = Duration::from_millis(left);
        let state = match state.as_str() {
            "w" => PageJobState::Waiting { due_in: left },
            "c" => PageJobState::Claimed { lease: left },
            "d" => PageJobState::Dead { error },
            other => return Err(corrupt(format!("`{other}` is no state of a job"))),
        };
        Ok(Some(PageJob {
            work: read_work(page.clone(), &work)?,
            state,
            attempts,
            again,
        }))
    }
}
