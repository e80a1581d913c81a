//! Finding the targets over which a call was refused.
//!
//! Services that refuse a call as a whole do not say for which of its items. What others want purged in the
//! same call must not be given up on for it, so the call is made again in halves, and the halves of what is
//! refused, until only single targets are.

use isr_core::{Capabilities, ConnectorError, Filling, RateLimit, Target};

use super::call::{Answered, Caller};
use super::queue::Load;

/// Calls refused in a row, before any is not, after which the targets are not what it is over: enough for
/// one bad target among 30,000.
const NOT_OVER_TARGETS: u32 = 16;

/// Whether a call of these targets may be refused for some of them alone.
pub(super) const fn may_be_over_some(error: &ConnectorError, targets: &[Target]) -> bool {
    let over_targets = matches!(
        error,
        ConnectorError::Refused {
            over_targets: true,
            ..
        }
    );
    over_targets && targets.len() > 1
}

impl Caller {
    /// Makes a call again that was refused with `error`, without the targets that it is over. `attempts`
    /// goes up by the calls that takes.
    ///
    /// # Errors
    ///
    /// `error`, when it is over all of the targets, or seems to be over something else; and whatever else
    /// stops a call. Some of it may have been done then, and all of it may be asked for again.
    pub(super) async fn without_the_refused(
        &self,
        load: &Load,
        limit: Option<&RateLimit>,
        error: ConnectorError,
        attempts: &mut u64,
    ) -> Result<Answered, ConnectorError> {
        let mut answered = Answered::default();
        let (mut refusals, mut taken) = (1, false);
        let mut pieces = Vec::new();
        push_halves(&mut pieces, &load.targets);
        while let Some(piece) = pieces.pop() {
            let items = items(piece, self.connector.capabilities());
            self.wait_for_turn(limit, items).await;
            let (made, answer) = self.attempt(load, piece.to_vec(), limit, items).await;
            *attempts += made;
            match (answer, piece) {
                (Ok(receipt), _) => {
                    taken = true;
                    answered.add(receipt);
                }
                (Err(refusal), piece) if may_be_over_some(&refusal, piece) => {
                    refusals += 1;
                    push_halves(&mut pieces, piece);
                }
                (Err(ConnectorError::Refused { reason, .. }), [target]) => {
                    refusals += 1;
                    answered.rejected.push((target.clone(), reason));
                }
                (Err(other), _) => return Err(other),
            }
            if !taken && refusals >= NOT_OVER_TARGETS {
                return Err(error);
            }
        }
        if taken { Ok(answered) } else { Err(error) }
    }
}

/// Puts both halves onto a stack, the first on top.
fn push_halves<'t>(pieces: &mut Vec<&'t [Target]>, targets: &'t [Target]) {
    let (first, second) = targets.split_at(targets.len() / 2);
    pieces.extend([second, first]);
}

/// What a call of these targets counts as.
fn items(targets: &[Target], can: &Capabilities) -> usize {
    let mut filling = Filling::default();
    for target in targets {
        filling.take(target, can);
    }
    filling.items()
}
