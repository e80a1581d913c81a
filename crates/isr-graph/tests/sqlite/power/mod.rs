//! Loss of power, at every write.
//!
//! A process lives on a store for a while, and `strace` records what it asks of the disk, in order, and what it
//! says was acknowledged. From that the files are put together as they may be found after power was lost at each
//! of these moments: without anything that was not made durable, with all of it, or with some sectors of it.
//! Each time the store is opened as after a reboot, and what is there compared with what was acknowledged.

mod disk;
mod judge;
mod life;
mod trace;

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::path::Path;

use isr_graph::Durability;

use self::disk::{Disk, Image, Loss};
use self::judge::{Acknowledged, Found};
use self::trace::{Event, Trace};

/// Where files can be put together without waiting for a disk.
const MEMORY: &str = "/dev/shm";

/// Whether the log is made durable when that is asked for. Where it is not, that is to be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syncs {
    Kept,
    LeftOut,
}

/// What came of losing power at every moment of a life.
#[derive(Debug, Default)]
struct Outcome {
    moments: u64,
    images: u64,
    /// Of these, those whose history was given up.
    new_epochs: u64,
    wrong: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            moments,
            images,
            new_epochs,
            wrong,
        } = self;
        write!(
            f,
            "{images} different disks at {moments} moments, {new_epochs} of them with a new epoch, {} wrong: {:#?}",
            wrong.len(),
            wrong.iter().take(5).collect::<Vec<_>>()
        )
    }
}

/// Ends early where something wrong is looked for.
fn lose_power_everywhere(trace: &Trace, durability: Durability, syncs: Syncs) -> Outcome {
    let (mut disk, mut acknowledged) = (Disk::default(), Acknowledged::default());
    let (mut outcome, mut known) = (Outcome::default(), HashMap::new());
    for (moment, event) in trace.events.iter().enumerate() {
        match event {
            Event::Said(line) => acknowledged.hear(line),
            event if syncs == Syncs::LeftOut && event.is_sync_of("-wal") => {}
            event => disk.happen(event),
        }
        if !event.is_moment() {
            continue;
        }
        outcome.moments += 1;
        for loss in [Loss::All, Loss::Nothing, Loss::Torn(moment as u64)] {
            let image = disk.after(loss);
            let found = known.entry((image.hash(), acknowledged.epoch));
            let found = found.or_insert_with(|| {
                outcome.images += 1;
                let found = found_in(&image, durability, &acknowledged);
                outcome.new_epochs += u64::from(found.has_new_epoch(&acknowledged));
                found
            });
            if let Some(wrong) = found.wrong(&acknowledged) {
                let line = format!("{loss:?} lost after event {moment}, {event}: {wrong}");
                outcome.wrong.push(line);
            }
        }
        if syncs == Syncs::LeftOut && !outcome.wrong.is_empty() {
            break;
        }
    }
    outcome
}

fn found_in(image: &Image, durability: Durability, acknowledged: &Acknowledged) -> Found {
    let memory = Path::new(MEMORY);
    let place = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let directory = tempfile::tempdir_in(place).unwrap();
    image.write_to(directory.path());
    judge::open_after_a_reboot(directory.path(), durability, acknowledged)
}

/// `None`, and a word to whoever runs the tests, where processes cannot be watched.
fn recorded(durability: Durability, test: &str) -> Option<Trace> {
    let trace = trace::record(durability);
    if trace.is_none() {
        // Not through `print!`, which the harness swallows: a skipped test is to be named.
        let skipped =
            format!("test power::{test} ... ignored, there is no strace that may be used\n");
        std::io::stdout().write_all(skipped.as_bytes()).unwrap();
    }
    trace
}

#[test]
fn what_waited_for_the_disk_survives_a_loss_of_power() {
    let test = "what_waited_for_the_disk_survives_a_loss_of_power";
    let Some(trace) = recorded(Durability::Machine, test) else {
        return;
    };
    let outcome = lose_power_everywhere(&trace, Durability::Machine, Syncs::Kept);
    assert!(outcome.wrong.is_empty(), "{outcome}");
    assert_eq!(outcome.new_epochs, 0, "{outcome}");
    assert!(outcome.images > 500, "{outcome}");
    let outcome = lose_power_everywhere(&trace, Durability::Machine, Syncs::LeftOut);
    assert!(
        !outcome.wrong.is_empty(),
        "a log that is not synced is noticed"
    );
}

#[test]
fn a_loss_of_power_is_noticed_where_nobody_waited_for_the_disk() {
    let test = "a_loss_of_power_is_noticed_where_nobody_waited_for_the_disk";
    let Some(trace) = recorded(Durability::Process, test) else {
        return;
    };
    let outcome = lose_power_everywhere(&trace, Durability::Process, Syncs::Kept);
    assert!(outcome.wrong.is_empty(), "{outcome}");
    assert!(outcome.new_epochs > 100, "{outcome}");
    let outcome = lose_power_everywhere(&trace, Durability::Process, Syncs::LeftOut);
    assert!(
        !outcome.wrong.is_empty(),
        "a note that is not durable is noticed"
    );
}
