//! What every connector must do, as cases that run against any of them.

mod batches;
pub mod cases;
mod faults;
mod log;
pub mod make;
mod targets;
mod watching;
mod worked;
mod worker;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use isr_core::{CdnConnector, Target};

use crate::fakes::Fault;

/// A connector under test, and the service it purges: the real one or a model of it. The service has
/// not been called yet, and takes some hundred calls in a row without asking for a pause.
#[async_trait]
pub trait ConnectorFixture: fmt::Debug + Send + Sync {
    /// The connector, with a timeout of three seconds or so: one call of the suite hangs for that long,
    /// and no other may last longer on a busy machine. Every call gives the same connector.
    fn connector(&self) -> Arc<dyn CdnConnector>;

    /// Every request to purge that reached the service's address so far, in order, those that ended
    /// by a [`Fault`] too; looks and polls are left out. Where a connector makes no requests, it is what
    /// each batch was seen to do.
    async fn calls(&self) -> Vec<Call>;

    /// How a target appears in [`Call::items`]: the items that it is sent as. What everything appears
    /// as is not how anything else does, also where the connector cannot purge everything.
    fn on_the_wire(&self, target: &Target) -> Vec<String>;

    /// How many requests it takes to purge targets which are one call by
    /// [`Capabilities`](isr_core::Capabilities): more than one where the protocol has one item a
    /// request.
    fn requests_for(&self, targets: &[Target]) -> usize {
        let _ = targets;
        1
    }

    /// Says how the next request to the service ends.
    async fn next(&self, fault: Fault);

    /// Whether a call that ends so has failed at this service: a body that says nothing is not read,
    /// a 404 may say that there was nothing to purge, and where no calls are made none can end badly.
    fn is_failure(&self, fault: Fault) -> bool {
        let _ = fault;
        true
    }

    /// A target that the service refuses by itself while it carries out the rest of the call, and says
    /// so.
    fn refused_alone(&self) -> Option<Target> {
        None
    }

    /// What must never be shown: every credential the connector has.
    fn secrets(&self) -> Vec<String>;

    /// The scheme and host of the pages that are purged.
    fn origin(&self) -> &'static str {
        "https://www.example.com"
    }
}

/// A request to purge, as the service understood it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was to be purged, in the order in which it was named.
    pub items: Vec<String>,
    /// Whether copies were to become stale, rather than to go.
    pub soft: bool,
    /// Whether the service did it.
    pub carried_out: bool,
}

/// Runs every case of the suite as a test of its own. `$fresh` is an async block, or any future, that
/// makes a [`ConnectorFixture`] whose service has not been called.
///
/// Cases are chosen by [`Capabilities`](isr_core::Capabilities): what the connector cannot do is not
/// asked of it, beyond that it says so.
#[macro_export]
macro_rules! connector_behaviour {
    ($fresh:expr) => {
        $crate::connector_behaviour!(@each $fresh;
            something_can_be_purged,
            an_exact_url_is_purged,
            a_tag_is_purged,
            a_prefix_is_purged,
            a_host_is_purged,
            everything_is_purged_when_it_is_asked_for,
            what_looks_like_everything_is_purged_as_what_it_is,
            neighbours_stay_apart_on_the_wire,
            a_soft_purge_is_soft_exactly_where_the_service_knows_it,
            a_hard_purge_is_never_soft,
            what_it_does_not_take_is_refused_without_a_call,
            nothing_to_purge_is_no_call,
            a_full_batch_is_one_call_and_one_target_more_makes_two,
            kinds_share_a_call_where_the_service_mixes_them,
            what_is_named_twice_is_sent_once,
            a_batch_sent_again_is_carried_out_again,
            a_refused_target_is_named_and_the_others_are_purged,
            a_failure_that_may_pass_is_told_and_not_repeated,
            a_call_lost_on_its_way_back_can_be_sent_again,
            a_slow_answer_is_waited_for,
            a_throttled_call_names_the_delay,
            a_refused_call_is_final,
            a_cancelled_call_leaves_the_connector_as_it_was,
            what_is_under_way_is_complete_in_the_end,
            a_healthy_service_has_good_findings_only,
            a_look_purges_nothing,
            no_secret_is_shown,
        );
    };
    (@each $fresh:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let fixture = $fresh.await;
                $crate::connector_suite::cases::$case(&fixture).await;
            }
        )*
    };
}

/// Runs every case about a real worker that purges by the connector, as a test of its own: beside those of
/// [`connector_behaviour!`](crate::connector_behaviour), with a `$fresh` as theirs.
#[macro_export]
macro_rules! connector_behaviour_in_a_worker {
    ($fresh:expr) => {
        $crate::connector_behaviour!(@each $fresh;
            pages_of_two_tags_are_each_in_one_of_the_fewest_calls,
            what_failed_once_is_settled_by_one_call_more,
            what_is_refused_is_a_dead_letter_that_can_be_replayed,
            a_pause_that_is_asked_for_is_kept,
            no_secret_is_in_a_receipt_or_the_log,
        );
    };
}
