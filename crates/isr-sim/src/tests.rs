use std::collections::BTreeSet;

use super::*;

#[test]
fn a_seed_comes_out_the_same_each_time() {
    // `cargo xtask sim --twice` has more of them, in release mode.
    for seed in 0..8 {
        assert_eq!(Scenario::of(seed, None).differs_from_itself(), None);
    }
}

#[test]
fn seeds_differ() {
    let journals = (0..5).map(|seed| Scenario::of(seed, None).with_journal().run().journal);
    assert_eq!(journals.collect::<BTreeSet<_>>().len(), 5);
}

#[test]
fn what_fails_is_made_shorter_and_fails_in_the_same_way() {
    let failing = (0..50).find_map(|seed| {
        let scenario = Scenario::of(seed, Some(Rule::ConfirmOrder));
        let violation = scenario.run().violation?;
        Some((scenario, violation.kind))
    });
    let (scenario, kind) = failing.unwrap();
    let shortest = shrink(&scenario, kind);
    assert_eq!(shortest.run().violation.unwrap().kind, kind);
    assert!(shortest.steps.len() < scenario.steps.len() / 4);
}
