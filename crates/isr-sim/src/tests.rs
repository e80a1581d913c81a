use std::collections::BTreeSet;

use super::*;

#[test]
fn a_seed_comes_out_the_same_each_time() {
    for seed in 0..200 {
        let scenario = Scenario::of(seed, None).with_journal();
        let (once, again) = (scenario.run().journal, scenario.run().journal);
        let differs = once.iter().zip(&again).position(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(once.len(), again.len(), "seed {seed}");
    }
}

#[test]
fn seeds_differ() {
    let journals = (0..10).map(|seed| Scenario::of(seed, None).with_journal().run().journal);
    assert_eq!(journals.collect::<BTreeSet<_>>().len(), 10);
}
