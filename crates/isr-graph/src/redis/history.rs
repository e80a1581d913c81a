//! Whether a partition still has everything that was ever acknowledged.
//!
//! A server may come back with less than it had, and a replica that takes its place may have had less.
//! Either way its data have another lineage then (`master_replid`), which every script compares; whoever is
//! told so looks at the server here, before anybody goes on.

use super::server::{Keeps, Server};

/// How much later than its process a server may say that it started: it counts whole seconds.
const STARTED_WITHIN: u64 = 2_000;

/// What a partition remembers of the server that had it when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Had {
    pub(super) run: String,
    pub(super) lineage: String,
    /// By that server's clock, in milliseconds since 1970.
    pub(super) seen: u64,
    pub(super) keeps: Keeps,
    /// How many replicas had every change before it was acknowledged.
    pub(super) replicas: u16,
}

/// What whoever looks at it takes for certain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trust {
    /// A server that keeps a log, and started again, has lost nothing.
    pub(super) restarts: bool,
    /// How many replicas have every change before it is acknowledged.
    pub(super) replicas: u16,
}

/// What became of a partition's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum History {
    /// Nothing can have been lost.
    Kept,
    /// What was acknowledged last may be missing.
    Doubtful,
}

/// What became of it in the hands of `server`.
pub(super) fn judge(had: &Had, server: &Server, trust: Trust) -> History {
    let kept = if had.run == server.run {
        // A master that was without replicas for long takes another lineage, and comes from nobody's. One
        // that was a replica in between comes from its master's.
        had.lineage == server.lineage || server.lineage_before.is_none()
    } else {
        match &server.lineage_before {
            Some(before) => *before == had.lineage && was_promoted(had, server, trust),
            None => has_restarted(had, server, trust),
        }
    };
    if kept {
        History::Kept
    } else {
        History::Doubtful
    }
}

/// Whether a replica of the server that had the partition took its place, with every change that was
/// acknowledged. A server that loaded an old snapshot names the same lineage, but it started after the one
/// before it was last seen.
fn was_promoted(had: &Had, server: &Server, trust: Trust) -> bool {
    server.started + STARTED_WITHIN < had.seen && trust.replicas.min(had.replicas) > 0
}

/// Whether the server that had the partition started again and read its log. That begins a lineage which
/// comes from nobody's, where a replica that took over would name its master's.
fn has_restarted(had: &Had, server: &Server, trust: Trust) -> bool {
    let believed = match had.keeps.min(server.keeps) {
        Keeps::Snapshots => false,
        Keeps::Log => trust.restarts,
        Keeps::LogOnDisk => true,
    };
    believed && server.started + STARTED_WITHIN >= had.seen
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: u64 = 1_000_000;

    fn had() -> Had {
        Had {
            run: "first".to_owned(),
            lineage: "line".to_owned(),
            seen: SEEN,
            keeps: Keeps::Log,
            replicas: 1,
        }
    }

    fn server(run: &str, lineage: &str, before: Option<&str>, started: u64) -> Server {
        Server {
            run: run.to_owned(),
            lineage: lineage.to_owned(),
            lineage_before: before.map(str::to_owned),
            is_master: true,
            is_in_cluster: false,
            keeps: Keeps::Log,
            started,
        }
    }

    const NONE: Trust = Trust {
        restarts: false,
        replicas: 0,
    };
    const RESTARTS: Trust = Trust {
        restarts: true,
        replicas: 0,
    };
    const REPLICAS: Trust = Trust {
        restarts: false,
        replicas: 1,
    };

    #[test]
    fn the_same_process_has_everything() {
        let same = server("first", "line", None, 0);
        assert_eq!(judge(&had(), &same, NONE), History::Kept);
        let after_an_hour_alone = server("first", "other", None, 0);
        assert_eq!(judge(&had(), &after_an_hour_alone, NONE), History::Kept);
    }

    #[test]
    fn a_master_that_was_a_replica_in_between_may_lack_something() {
        let back = server("first", "third", Some("second"), 0);
        assert_eq!(judge(&had(), &back, REPLICAS), History::Doubtful);
    }

    #[test]
    fn a_restart_is_believed_with_a_log_on_disk_or_when_told_to() {
        let mut again = server("second", "new", None, SEEN + 1);
        assert_eq!(judge(&had(), &again, NONE), History::Doubtful);
        assert_eq!(judge(&had(), &again, REPLICAS), History::Doubtful);
        assert_eq!(judge(&had(), &again, RESTARTS), History::Kept);
        again.keeps = Keeps::LogOnDisk;
        assert_eq!(judge(&had(), &again, NONE), History::Doubtful);
        let on_disk = Had {
            keeps: Keeps::LogOnDisk,
            ..had()
        };
        assert_eq!(judge(&on_disk, &again, NONE), History::Kept);
    }

    #[test]
    fn another_server_is_no_restart() {
        let on_disk = Had {
            keeps: Keeps::LogOnDisk,
            replicas: 0,
            ..had()
        };
        for (before, started) in [
            (Some("line"), SEEN + 1),
            (Some("elsewhere"), SEEN + 1),
            (None, SEEN - 60_000),
        ] {
            let mut other = server("second", "new", before, started);
            other.keeps = Keeps::LogOnDisk;
            assert_eq!(judge(&on_disk, &other, RESTARTS), History::Doubtful);
        }
    }

    #[test]
    fn snapshots_are_never_believed() {
        for (before, after) in [
            (Keeps::Snapshots, Keeps::LogOnDisk),
            (Keeps::LogOnDisk, Keeps::Snapshots),
        ] {
            let mut again = server("second", "new", None, SEEN + 1);
            again.keeps = after;
            let had = Had {
                keeps: before,
                ..had()
            };
            assert_eq!(judge(&had, &again, RESTARTS), History::Doubtful);
        }
    }

    #[test]
    fn a_replica_that_took_over_is_believed_when_changes_waited_for_it() {
        let promoted = server("second", "new", Some("line"), SEEN - 60_000);
        assert_eq!(judge(&had(), &promoted, REPLICAS), History::Kept);
        assert_eq!(judge(&had(), &promoted, RESTARTS), History::Doubtful);
        let before = Had {
            replicas: 0,
            ..had()
        };
        assert_eq!(judge(&before, &promoted, REPLICAS), History::Doubtful);
        let of_another = server("second", "new", Some("elsewhere"), SEEN - 60_000);
        assert_eq!(judge(&had(), &of_another, REPLICAS), History::Doubtful);
    }
}
