//! The store in memory with several partitions, beside the same with one.

use isr_testkit::store_model::{Comparison, Memory, Subject, compare};

use crate::runtime;

#[test]
fn three_partitions_in_memory_answer_as_one() {
    let comparison = Comparison {
        cases: 300,
        queue: 5,
        in_order: true,
    };
    compare(&comparison, &runtime(), async |room| {
        Box::new(Memory::new(room, 3)) as Box<dyn Subject>
    });
}
