//! What a server says of itself: which process it is, and what it keeps when it ends.

use std::collections::HashMap;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{RedisResult, Value, cmd};

use super::error::Failure;

/// What a server still has after its process, or its machine, has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keeps {
    /// What it had when it last saved a snapshot.
    Snapshots,
    /// Everything when it is shut down in good order; otherwise all but the last two seconds, for which it may
    /// put off writing.
    Log,
    /// Everything: its log is on disk before it answers.
    LogOnDisk,
}

impl Keeps {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Snapshots => "snapshots",
            Self::Log => "log",
            Self::LogOnDisk => "log-on-disk",
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        match text {
            "log-on-disk" => Self::LogOnDisk,
            "log" => Self::Log,
            _ => Self::Snapshots,
        }
    }
}

/// One process of a server, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Another one each time the process starts.
    pub(super) run: String,
    /// The name of its data's history among its replicas.
    pub(super) lineage: String,
    /// Whose replica it was before it became a master itself.
    pub(super) lineage_before: Option<String>,
    pub(super) is_master: bool,
    pub(super) is_in_cluster: bool,
    pub(super) keeps: Keeps,
    /// When the process started, by its clock, in milliseconds since 1970; a second early at most.
    pub(super) started: u64,
}

impl Server {
    /// Asks the process at the other end of a connection.
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> Result<Self, Failure> {
        let info: String = cmd("INFO").query_async(connection).await?;
        // Hosted servers often forbid the question: then the weaker answer is taken for true.
        let fsync: RedisResult<Value> = cmd("CONFIG")
            .arg("GET")
            .arg("appendfsync")
            .query_async(connection)
            .await;
        let fsync: Option<Vec<String>> = fsync
            .ok()
            .and_then(|value| deadpool_redis::redis::from_redis_value(value).ok());
        let is_on_disk = fsync.is_some_and(|pair| pair.iter().any(|word| word == "always"));
        Self::read(&info, is_on_disk).ok_or(Failure::Information)
    }

    fn read(info: &str, is_on_disk: bool) -> Option<Self> {
        let fields: HashMap<&str, &str> = info
            .lines()
            .filter_map(|line| line.trim_end().split_once(':'))
            .collect();
        let number = |name: &str| fields.get(name)?.parse::<u64>().ok();
        let now = number("server_time_usec")? / 1000;
        let nobody = |lineage: &&str| lineage.bytes().any(|byte| byte != b'0');
        Some(Self {
            run: (*fields.get("run_id")?).to_owned(),
            lineage: (*fields.get("master_replid")?).to_owned(),
            lineage_before: fields
                .get("master_replid2")
                .copied()
                .filter(nobody)
                .map(str::to_owned),
            is_master: *fields.get("role")? == "master",
            is_in_cluster: fields.get("cluster_enabled") == Some(&"1"),
            keeps: match (number("aof_enabled"), is_on_disk) {
                (Some(1), true) => Keeps::LogOnDisk,
                (Some(1), false) => Keeps::Log,
                _ => Keeps::Snapshots,
            },
            started: now.saturating_sub(number("uptime_in_seconds")? * 1000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:a05283\r\n\
        server_time_usec:1795847116126445\r\nuptime_in_seconds:90\r\n# Persistence\r\naof_enabled:1\r\n\
        # Replication\r\nrole:master\r\nmaster_replid:14235b\r\n\
        master_replid2:0000000000000000000000000000000000000000\r\n# Cluster\r\ncluster_enabled:0\r\n";

    #[test]
    fn a_server_is_read_from_what_it_says() {
        let server = Server::read(INFO, false).unwrap();
        let expected = Server {
            run: "a05283".to_owned(),
            lineage: "14235b".to_owned(),
            lineage_before: None,
            is_master: true,
            is_in_cluster: false,
            keeps: Keeps::Log,
            started: 1_795_847_026_126,
        };
        assert_eq!(server, expected);
        assert_eq!(Server::read(INFO, true).unwrap().keeps, Keeps::LogOnDisk);
        let promoted = INFO.replace("0000000000000000000000000000000000000000", "88aa");
        let before = Server::read(&promoted, false).unwrap().lineage_before;
        assert_eq!(before.as_deref(), Some("88aa"));
    }

    #[test]
    fn a_log_that_is_off_is_never_on_disk() {
        let without = INFO.replace("aof_enabled:1", "aof_enabled:0");
        assert_eq!(
            Server::read(&without, true).unwrap().keeps,
            Keeps::Snapshots
        );
    }

    #[test]
    fn an_answer_without_what_is_needed_is_no_server() {
        for field in ["run_id", "master_replid", "role", "uptime_in_seconds"] {
            let without = INFO.replace(&format!("{field}:"), "other:");
            assert_eq!(Server::read(&without, false), None, "{field}");
        }
    }
}
