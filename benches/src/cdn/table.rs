//! How runs are told.

use super::case::{Case, Task, thousands};
use super::fake::Counts;
use super::pipeline::Run;

pub(super) fn head() {
    println!(
        "| service | run | calls | least | time | of the allowed rate | most of the bucket | 429 | refused | peak memory | processor |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
}

/// One run, compared in memory with a smaller one.
pub(super) fn row(case: &Case, run: &Run, counts: &Counts, smaller: Option<&Run>) {
    // A single call says nothing of a rate, and a storm is not there to use it.
    let uses_rate = matches!(case.task, Task::PagesByUrl | Task::TagsOneByOne(_));
    let rate = counts.rate.filter(|_| uses_rate);
    let share = |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{share:.3}"));
    let ratio = smaller.map_or_else(String::new, |smaller| {
        let ratio = run.peak_kib as f64 / smaller.peak_kib as f64;
        format!(", {ratio:.2} × that of a tenth")
    });
    println!(
        "| {} | {} | {} | {} | {:.1} s | {} | {} | {} | {} | {:.1} MiB{ratio} | {:.1} s |",
        case.service,
        case.describe(),
        thousands(counts.calls),
        thousands(run.least_calls),
        run.seconds,
        share(rate.map(|rate| rate.used)),
        share(rate.map(|rate| rate.most)),
        counts.throttled,
        counts.refused,
        run.peak_kib as f64 / 1024.0,
        run.processor,
    );
}
