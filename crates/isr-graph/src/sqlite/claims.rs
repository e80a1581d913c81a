//! Claims: the right to work on a job until a lease ends, and the ways to give it up.

use std::time::Duration;

use isr_core::{Claim, PageWork, WorkerId};

use super::failure::Failure;
use super::job_row::{Entry, Held, Kind};
use super::queue::{change, merge};
use super::state::{at_most, micros};
use super::writer::Write;

/// A job that has just been claimed.
#[derive(Debug)]
pub(super) struct Taken {
    /// `None` for a revalidation, which has its receipt.
    pub(super) work: Option<PageWork>,
    pub(super) attempt: u32,
    pub(super) claim: Claim,
}

/// Takes up to `limit` jobs that may be claimed, the longest due first.
pub(super) fn claim(
    write: &mut Write<'_>,
    kind: Kind,
    worker: &WorkerId,
    limit: usize,
    lease: Duration,
) -> Result<Vec<Taken>, Failure> {
    let keys: Vec<String> = {
        let mut select = write
            .connection
            .prepare_cached("SELECT key FROM job WHERE kind = ? AND at <= ? ORDER BY at LIMIT ?")?;
        let rows = select.query_map((kind as i64, write.now, at_most(limit)), |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    let until = write.now + micros(lease);
    let mut claimed = Vec::with_capacity(keys.len());
    for key in keys {
        let (work, attempt, token) = change(write, kind, &key, |slot, state| {
            let entry = slot.as_mut().expect("it was found in this transaction");
            state.tokens += 1;
            entry.attempt += 1;
            entry.at = Some(until);
            entry.held = Some(Held {
                worker: worker.0.clone(),
                token: state.tokens,
            });
            (entry.work.clone(), entry.attempt, state.tokens)
        })?;
        let claim = Claim {
            job: key,
            token: token.cast_unsigned(),
        };
        claimed.push(Taken {
            work,
            attempt,
            claim,
        });
    }
    Ok(claimed)
}

/// Lets a claim last longer; `false` when it is lost.
pub(super) fn renew(
    write: &mut Write<'_>,
    kind: Kind,
    claim: &Claim,
    until: i64,
) -> Result<bool, Failure> {
    with_claim(write, kind, claim, |slot| {
        if let Some(entry) = slot {
            entry.at = Some(until);
        }
    })
}

/// Gives a finished job up; one that was queued again meanwhile waits again.
pub(super) fn finish(write: &mut Write<'_>, kind: Kind, claim: &Claim) -> Result<bool, Failure> {
    with_claim(write, kind, claim, |slot| {
        let again = slot.take().and_then(|entry| entry.again);
        *slot = again.map(|(work, due)| Entry::waiting(work, due));
    })
}

/// Puts a job off; what is queued behind it stays there.
pub(super) fn put_off(
    write: &mut Write<'_>,
    kind: Kind,
    claim: &Claim,
    due: i64,
    failed: bool,
) -> Result<bool, Failure> {
    with_claim(write, kind, claim, |slot| {
        if let Some(entry) = slot {
            entry.held = None;
            entry.at = Some(due);
            if !failed {
                entry.attempt = 0;
            }
        }
    })
}

/// Gives a job up for dead, unless more is queued behind it: then all of it is done then.
pub(super) fn bury(
    write: &mut Write<'_>,
    kind: Kind,
    claim: &Claim,
    error: &str,
) -> Result<bool, Failure> {
    with_claim(write, kind, claim, |slot| {
        if let Some(entry) = slot {
            entry.held = None;
            if let Some((work, due)) = entry.again.take() {
                *entry = Entry::waiting(merge(entry.work.take(), work), due);
            } else {
                (entry.at, entry.error) = (None, Some(error.to_owned()));
            }
        }
    })
}

/// Gives up every claim of a worker; the jobs are due at once.
pub(super) fn hand_back(write: &mut Write<'_>, worker: &WorkerId) -> Result<(), Failure> {
    for kind in [Kind::Revalidation, Kind::Page] {
        let keys: Vec<String> = {
            let mut select = write
                .connection
                .prepare_cached("SELECT key FROM job WHERE worker = ? AND kind = ?")?;
            let rows = select.query_map((&worker.0, kind as i64), |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        let now = write.now;
        for key in keys {
            change(write, kind, &key, |slot, _| {
                if let Some(entry) = slot {
                    entry.held = None;
                    entry.attempt = entry.attempt.saturating_sub(1);
                    entry.at = Some(now);
                }
            })?;
        }
    }
    Ok(())
}

fn with_claim(
    write: &mut Write<'_>,
    kind: Kind,
    claim: &Claim,
    act: impl FnOnce(&mut Option<Entry>),
) -> Result<bool, Failure> {
    let token = claim.token.cast_signed();
    change(write, kind, &claim.job, |slot, _| {
        let held = slot.as_ref().and_then(|entry| entry.held.as_ref());
        let mine = held.is_some_and(|held| held.token == token);
        if mine {
            act(slot);
        }
        mine
    })
}
