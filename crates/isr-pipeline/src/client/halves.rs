//! Finding the targets over which a call was refused.
//!
//! Services that refuse a call as a whole do not say for which of its items. What others want purged in the
//! same call must not be given up on for it, so the call is made again in halves, and the halves of what is
//! refused, until only single targets are.

use std::collections::VecDeque;

use isr_core::{Capabilities, ConnectorError, Filling, RateLimit, Target};

use super::call::{Answered, Caller};
use super::queue::Load;

/// Calls refused, before any is not, after which it is not over single targets: the whole, its halves, and so
/// on down to its sixteenths, each of which was refused.
const NOT_OVER_SINGLE_TARGETS: usize = 31;

/// The most calls that are made in place of one. Some tens of bad targets are found with them.
const MOST_CALLS: u64 = 256;

impl Caller {
    /// Makes a call again that was refused for `reason`, without the targets that it is over, which are
    /// rejected. `attempts` goes up by the calls that takes. Where too much of it is refused to look for
    /// them one by one, everything in what was refused is rejected.
    ///
    /// # Errors
    ///
    /// Whatever else stops a call. Some of it may have been done then, and all of it may be asked for again.
    pub(super) async fn without_the_refused(
        &self,
        load: &Load,
        limit: Option<&RateLimit>,
        reason: String,
        attempts: &mut u64,
    ) -> Result<Answered, ConnectorError> {
        let mut answered = Answered::default();
        let (mut refusals, mut taken) = (1, false);
        let most_calls = attempts.saturating_add(MOST_CALLS);
        // Halves before quarters: where the bad stand together, some good are soon found.
        let mut pieces = VecDeque::new();
        push_halves(&mut pieces, &load.targets, reason);
        while let Some((piece, because)) = pieces.pop_front() {
            let hopeless = !taken && refusals >= NOT_OVER_SINGLE_TARGETS;
            if hopeless || *attempts >= most_calls {
                answered.reject(piece, &because);
                continue;
            }
            let items = items(piece, self.connector.capabilities());
            self.wait_for_turn(limit, items).await;
            let (made, answer) = self.attempt(load, piece.to_vec(), limit, items).await;
            *attempts += made;
            match answer {
                Ok(receipt) => {
                    taken = true;
                    answered.add(receipt);
                }
                Err(ConnectorError::Refused {
                    reason,
                    over_targets: true,
                    ..
                }) => {
                    refusals += 1;
                    if piece.len() == 1 {
                        answered.reject(piece, &reason);
                    } else {
                        push_halves(&mut pieces, piece, reason);
                    }
                }
                Err(other) => return Err(other),
            }
        }
        Ok(answered)
    }
}

/// Queues both halves, with why the whole was refused; of a single target, that.
fn push_halves<'t>(
    pieces: &mut VecDeque<(&'t [Target], String)>,
    targets: &'t [Target],
    because: String,
) {
    let (first, second) = targets.split_at(targets.len() / 2);
    if !first.is_empty() {
        pieces.push_back((first, because.clone()));
    }
    pieces.push_back((second, because));
}

/// What a call of these targets counts as.
fn items(targets: &[Target], can: &Capabilities) -> usize {
    let mut filling = Filling::default();
    for target in targets {
        filling.take(target, can);
    }
    filling.items()
}
