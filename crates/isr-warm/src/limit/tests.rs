use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const CEILING: usize = 32;

/// An origin that makes `workers` pages at once, `render` each: what a page takes when so many are
/// asked for at once.
fn takes(workers: usize, render: Duration, at_once: usize) -> Duration {
    render * u32::try_from(at_once.div_ceil(workers)).unwrap()
}

/// A round of answers at the full limit.
fn round(limit: &mut Limit, workers: usize, render: Duration) {
    loop {
        let at_once = limit.at_once();
        let number = limit.begin(at_once);
        let took = takes(workers, render, at_once);
        limit.end(number, Signal::Served { took });
        if limit.round.served == 0 {
            return;
        }
    }
}

fn after(rounds: usize, workers: usize, render: Duration) -> Limit {
    let mut limit = Limit::new(CEILING);
    for _ in 0..rounds {
        round(&mut limit, workers, render);
    }
    limit
}

const RENDER: Duration = Duration::from_millis(200);

#[test]
fn it_doubles_up_to_the_ceiling_while_nothing_gets_slower() {
    let mut limit = Limit::new(CEILING);
    for expected in [1, 2, 4, 8, 16, 32, 32, 32] {
        assert_eq!(limit.at_once(), expected);
        round(&mut limit, 1000, RENDER);
    }
}

#[test]
fn it_stays_near_what_the_origin_can_do_at_once() {
    for workers in [1, 2, 4, 10] {
        let mut limit = after(40, workers, RENDER);
        for _ in 0..500 {
            round(&mut limit, workers, RENDER);
            let at_once = limit.at_once();
            assert!(at_once <= workers + 2, "{at_once} at {workers} workers");
        }
    }
}

#[test]
fn a_limit_that_is_not_reached_does_not_grow() {
    let mut limit = after(3, 1000, RENDER);
    for _ in 0..1000 {
        let number = limit.begin(1);
        limit.end(number, Signal::Served { took: RENDER });
    }
    assert!(limit.requests <= 8.0, "{}", limit.requests);
}

#[test]
fn refusals_of_one_round_halve_it_once() {
    let mut limit = after(10, 1000, RENDER);
    let number = limit.begin(32);
    for _ in 0..32 {
        limit.end(number, Signal::Refused);
    }
    assert_eq!(limit.at_once(), 16);
    for expected in [17, 18, 19] {
        round(&mut limit, 1000, RENDER);
        assert_eq!(limit.at_once(), expected);
    }
}

#[test]
fn it_falls_as_far_as_pages_take_too_long() {
    for (times, expected) in [(1.4, 32), (1.7, 24), (3.0, 16), (6.0, 8), (100.0, 8)] {
        let mut limit = after(10, 1000, RENDER);
        let number = limit.begin(32);
        let took = (RENDER + GRACE).mul_f64(times).saturating_sub(GRACE);
        for _ in 0..LEAST_ANSWERS {
            limit.end(number, Signal::Served { took });
        }
        assert_eq!(limit.at_once(), expected, "{times} times as long");
    }
}

#[test]
fn failures_count_when_they_are_many() {
    for (failing, lowered) in [(10, false), (3, true)] {
        let mut limit = after(10, 1000, RENDER);
        for page in 0..64 {
            let number = limit.begin(32);
            let signal = if page % failing == 0 {
                Signal::Failed
            } else {
                Signal::Served { took: RENDER }
            };
            limit.end(number, signal);
        }
        assert_eq!(limit.at_once() < CEILING, lowered, "one in {failing}");
    }
}

#[test]
fn what_was_answered_without_a_page_says_nothing() {
    let mut limit = after(3, 1000, RENDER);
    for _ in 0..1000 {
        let number = limit.begin(8);
        limit.end(number, Signal::Answered);
    }
    assert_eq!(limit.at_once(), 8);
}

#[test]
fn an_origin_that_was_out_of_order_begins_with_one() {
    let mut limit = after(10, 1000, RENDER);
    limit.restart();
    for expected in [1, 2, 3, 4] {
        assert_eq!(limit.at_once(), expected);
        round(&mut limit, 1000, RENDER);
    }
}

#[test]
fn pages_that_turn_out_slower_for_their_own_sake_hold_it_up_only_for_a_while() {
    let mut limit = after(10, 1000, Duration::from_millis(1));
    let mut rounds = 0;
    while limit.at_once() == CEILING || rounds < 20 {
        round(&mut limit, 1000, RENDER);
        rounds += 1;
    }
    while limit.at_once() < CEILING {
        round(&mut limit, 1000, RENDER);
        rounds += 1;
    }
    assert!(rounds < 150, "{rounds}");
}

proptest! {
    /// Whatever it is told, late or in time.
    #[test]
    fn it_keeps_its_bounds(
        ceiling in 1..257_usize,
        told in vec((0..5_u8, 0..100_000_u64, 0..40_usize), 0..400),
    ) {
        let mut limit = Limit::new(ceiling);
        let mut under_way = Vec::new();
        for (kind, millis, late) in told {
            let before = limit.at_once();
            prop_assert!((1..=ceiling).contains(&before));
            under_way.push(limit.begin(under_way.len() + 1));
            if under_way.len() <= late {
                continue;
            }
            let signal = match kind {
                0 => Signal::Refused,
                1 => Signal::Failed,
                2 => Signal::Answered,
                _ => Signal::Served { took: Duration::from_millis(millis) },
            };
            let was_measuring = limit.is_measuring();
            limit.end(under_way.swap_remove(0), signal);
            if !was_measuring {
                prop_assert!(limit.at_once() <= before * 2);
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However unlike its pages are, an origin that never slows down is not taken for one that does.
    #[test]
    fn chance_is_not_taken_for_slowness(times in vec(0.0..4.0_f64, 4000)) {
        let mut limit = Limit::new(CEILING);
        let mut most = 0;
        for exponent in times {
            let number = limit.begin(limit.at_once());
            let took = Duration::from_secs_f64(0.02 * exponent.exp());
            limit.end(number, Signal::Served { took });
            most = most.max(limit.at_once());
        }
        prop_assert!(most >= CEILING / 2, "{}", most);
    }
}
