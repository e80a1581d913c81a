//! What every store must do, as cases that run against any of them.

mod budget;
pub mod cases;
mod graph;
mod holding;
mod jobs;
mod judging;
mod listing;
mod looking;
pub mod make;
mod news;
mod scheduling;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::Store;

/// A store under test, empty at first.
#[async_trait]
pub trait StoreFixture: fmt::Debug + Send + Sync {
    /// The store. Every call gives the same one, or another handle to the same data.
    fn store(&self) -> Arc<dyn Store>;

    /// Lets time pass for the store: at least `duration`.
    async fn pass(&self, duration: Duration);

    /// How coarsely the store keeps the end of a bound pair: it may outlive its lifetime by this much.
    fn expiry_unit(&self) -> Duration;
}

/// Runs every case of the suite as a test of its own. `$fresh` is an async block, or any future, that
/// makes a [`StoreFixture`] with nothing in it.
#[macro_export]
macro_rules! store_behaviour {
    ($fresh:expr) => {
        $crate::store_behaviour!(@each $fresh;
            a_bound_page_is_found_by_each_of_its_tags,
            binding_again_keeps_the_tags_of_older_copies,
            binding_again_unchanged_changes_nothing,
            a_secret_is_everybodys_and_of_some_length,
            an_unknown_tag_has_no_pages,
            an_unknown_page_has_no_tags,
            an_unbound_page_is_found_no_more,
            pages_come_in_chunks_each_at_least_once,
            one_tag_of_many_pages_does_not_mix_with_its_neighbours,
            a_url_is_its_own_page_even_when_unknown,
            a_prefix_covers_whole_segments_only,
            a_host_covers_its_pages_only,
            everything_covers_all_pages,
            a_page_without_tags_is_kept_until_its_last_copy_has_ended,
            a_page_outlives_tags_of_shorter_lives,
            pages_and_tags_of_any_spelling_come_back_as_they_were,
            a_pair_ends_with_the_last_copy,
            garbage_collection_removes_what_has_ended_and_nothing_else,
            statistics_count_pages_tags_and_pairs,
            a_bind_after_the_revalidation_is_bound,
            a_bind_from_before_a_revalidation_of_its_tag_is_superseded,
            a_bind_from_before_another_tags_revalidation_is_bound,
            a_superseded_page_is_queued_again,
            a_superseded_bind_is_found_by_its_tags,
            every_kind_of_target_supersedes_renders_under_way,
            a_hard_revalidation_outranks_a_soft_one,
            a_bind_of_another_epoch_is_superseded,
            a_bind_of_another_epoch_does_not_make_its_page_newer,
            a_generation_from_the_future_is_superseded,
            binds_of_one_call_are_judged_one_by_one,
            each_revalidation_moves_the_position,
            a_revalidation_asked_for_twice_happens_once,
            news_name_every_revalidation_in_order,
            news_come_in_pieces,
            no_news_are_no_gap,
            news_for_another_epoch_are_a_gap,
            a_beginning_is_told_until_it_has_been_dealt_with,
            senders_are_alive_until_their_lease_ends,
            a_dismissed_sender_is_forgotten,
            a_revalidation_is_claimed_once,
            a_saved_revalidation_goes_on_where_it_stood,
            a_dead_workers_revalidation_is_taken_over,
            a_lost_claim_saves_nothing,
            a_revalidation_put_off_waits_its_time,
            failed_attempts_are_counted_and_others_are_not,
            a_finished_revalidation_keeps_its_receipt,
            a_dead_revalidation_can_be_replayed,
            receipts_come_newest_first,
            receipts_come_newest_first_whatever_their_names,
            receipts_come_in_pieces_each_once,
            receipts_are_found_by_what_is_said_of_them,
            dead_letters_come_in_pieces_each_once,
            dead_letters_are_listed_whole_while_they_are_replayed,
            a_page_queued_twice_is_claimed_once,
            a_page_is_not_worked_on_before_all_that_queued_it_is_due,
            a_page_in_flight_stays_so_when_it_is_superseded_too,
            superseded_pages_are_not_outstanding,
            a_page_queued_again_is_outstanding_for_the_older_revalidation,
            a_page_queued_while_worked_on_is_claimed_again,
            a_page_queued_with_a_delay_waits,
            a_dead_workers_page_is_taken_over,
            a_page_whose_claim_is_renewed_is_not_taken_over,
            a_page_given_up_on_can_be_replayed,
            a_page_queued_anew_leaves_its_grave,
            outstanding_pages_are_counted_by_generation,
            a_worker_that_stops_hands_its_jobs_back,
            depth_counts_what_waits,
            binding_and_revalidating_at_once_loses_nothing,
            a_scheduled_revalidation_moves_nothing_before_its_time,
            a_scheduled_revalidation_begins_even_where_nobody_has_a_place_for_it,
            a_scheduled_revalidation_asked_for_twice_happens_once,
            a_scheduled_revalidation_can_be_called_off,
            what_has_begun_cannot_be_called_off,
            a_time_that_has_passed_is_now,
            a_time_just_ahead_is_waited_for,
            a_time_too_far_ahead_is_refused,
            many_are_begun_once_each_whoever_asks,
            a_held_revalidation_is_nobodys_until_it_is_released,
            a_released_revalidation_is_claimed_with_a_clean_slate,
            a_held_revalidation_can_be_called_off,
            what_is_not_held_cannot_be_released,
            a_lost_claim_holds_nothing,
            those_released_at_once_are_claimed_once_each,
            the_history_of_a_page_goes_back_from_the_newest,
            a_page_stands_as_its_binds_are_judged,
            what_is_to_be_done_for_a_page_is_known_at_every_stage,
            tokens_are_taken_in_turn_and_come_back,
            who_is_not_patient_takes_no_token,
            whoever_watches_sees_how_many_tokens_are_left,
            a_pause_holds_everybody_back_from_its_bucket_alone,
            tokens_taken_at_once_are_no_more_than_there_are,
        );
    };
    (@each $fresh:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let fixture = $fresh.await;
                $crate::store_suite::cases::$case(&fixture).await;
            }
        )*
    };
}
