//! Finding the store, or making it: who has its partitions, and whether they still have everything.

use deadpool_redis::redis::{Cmd, cmd, pipe};
use isr_core::StoreError;

use super::error::{Failure, STORE, corrupt};
use super::history::{Had, History, Trust, judge};
use super::identity::{Identity, LAYOUT, random_epoch, random_salt};
use super::node::{Node, Nodes};
use super::scripts::OPEN;
use super::server::Keeps;

/// One partition's answer to `open.lua`: layout, partitions, epoch, salt.
type Answer = (u32, u16, String, String);

/// What a partition knew of itself before it was opened.
#[derive(Debug, Default)]
struct Known {
    epoch: Option<String>,
    salt: Option<String>,
    had: Option<Had>,
    /// Whether its numbers are there.
    has_numbers: bool,
}

impl Known {
    /// Whether the partition is as it was left.
    fn is_whole(&self, history: History) -> bool {
        self.has_numbers && history != History::Doubtful
    }
}

/// Opens every partition of a store, or makes it. `keys` are those of the partitions' descriptions.
///
/// When some partition may have lost a part of its history, all of them begin a new epoch: a position covers
/// all partitions, so nobody could tell which part of it still holds. Nothing is written before the loss has
/// been noted at home, so whoever comes after a crash in between notices it again.
pub(super) async fn open(
    nodes: &Nodes,
    keys: &[String],
    trust: Trust,
) -> Result<Identity, StoreError> {
    let mut found = nodes.of_keys(keys).await?;
    let mut known: Vec<Known> = Vec::new();
    known.resize_with(keys.len(), Known::default);
    let mut is_whole = true;
    for (node, places) in &mut found {
        if !node.server.is_master {
            return Err(Failure::Replica.into());
        }
        for &place in &*places {
            known[place] = look(node, &keys[place]).await?;
            let history = history_of(nodes, node, &known[place], trust).await?;
            is_whole &= known[place].is_whole(history);
        }
    }

    let opening = Opening::new(&known, is_whole, keys.len(), trust);
    // The home partition is the first key.
    found.sort_by_key(|(_, places)| places.first().copied());
    let mut opened: Option<Answer> = None;
    for (node, places) in &mut found {
        for &place in &*places {
            let epoch = opened.as_ref().map(|(_, _, epoch, _)| epoch.as_str());
            let call = opening.call(&keys[place], node, epoch);
            let answer: Answer = call
                .query_async(&mut node.connection)
                .await
                .map_err(Failure::from)?;
            let answer = check(answer, keys.len())?;
            opened.get_or_insert(answer);
        }
    }
    let mut lineages = vec![String::new(); keys.len()];
    for (node, places) in found {
        for place in places {
            lineages[place].clone_from(&node.server.lineage);
        }
    }
    let (_, _, epoch, salt) = opened.ok_or_else(|| corrupt("the home partition is nowhere"))?;
    Identity::new(&epoch, &salt, &lineages)
}

/// What is the same for all partitions of one opening.
struct Opening {
    partitions: usize,
    salt: String,
    /// The epoch that begins, where one does.
    new_epoch: String,
    /// What the home partition is asked to do, and the epoch that it has to have for that.
    at_home: (&'static str, String),
    beginning: &'static str,
    replicas: u16,
}

impl Opening {
    fn new(known: &[Known], is_whole: bool, partitions: usize, trust: Trust) -> Self {
        let salt = known.iter().find_map(|known| known.salt.clone());
        let home = known.first().and_then(|home| home.epoch.clone());
        let at_home = match home {
            Some(epoch) if !is_whole => ("renew", epoch),
            _ => ("find", String::new()),
        };
        Self {
            partitions,
            beginning: if salt.is_some() { "lost" } else { "new" },
            salt: salt.unwrap_or_else(random_salt),
            new_epoch: random_epoch(),
            at_home,
            replicas: trust.replicas,
        }
    }

    /// The call for a partition: the home one, or another once the home partition's epoch is known.
    fn call(&self, key: &str, node: &Node, epoch: Option<&str>) -> Cmd {
        let server = &node.server;
        let (mode, expected) = match epoch {
            None => (self.at_home.0, self.at_home.1.as_str()),
            Some(_) => ("adopt", ""),
        };
        let mut command = cmd("EVAL");
        command.arg(OPEN).arg(1).arg(key);
        command.arg(LAYOUT).arg(self.partitions);
        command
            .arg(epoch.unwrap_or(&self.new_epoch))
            .arg(&self.salt);
        command.arg(&server.run).arg(&server.lineage);
        command.arg(server.keeps.as_str()).arg(self.replicas);
        command.arg(mode).arg(expected).arg(self.beginning);
        command
    }
}

async fn look(node: &mut Node, key: &str) -> Result<Known, StoreError> {
    type Description = (
        Option<String>,
        Option<String>,
        Option<String>,
        Option<String>,
        Option<u64>,
        Option<String>,
        Option<u16>,
    );
    let numbers = format!("{}c", &key[..key.len() - 1]);
    let ((epoch, salt, run, lineage, seen, keeps, replicas), has_numbers): (Description, bool) =
        pipe()
            .cmd("HMGET")
            .arg(key)
            .arg(&[
                "epoch", "salt", "run", "lineage", "seen", "keeps", "replicas",
            ])
            .cmd("EXISTS")
            .arg(numbers)
            .query_async(&mut node.connection)
            .await
            .map_err(Failure::from)?;
    let had = run.zip(lineage).map(|(run, lineage)| Had {
        run,
        lineage,
        seen: seen.unwrap_or_default(),
        keeps: Keeps::parse(keeps.as_deref().unwrap_or_default()),
        replicas: replicas.unwrap_or_default(),
    });
    Ok(Known {
        epoch,
        salt,
        had,
        has_numbers,
    })
}

/// What became of a partition's history. In a cluster it may have come from another server, which has lost
/// nothing as long as it lives.
async fn history_of(
    nodes: &Nodes,
    node: &mut Node,
    known: &Known,
    trust: Trust,
) -> Result<History, StoreError> {
    let Some(had) = &known.had else {
        return Ok(History::Doubtful);
    };
    let history = judge(had, &node.server, trust);
    if history != History::Doubtful || node.server.lineage_before.as_ref() == Some(&had.lineage) {
        return Ok(history);
    }
    let masters = nodes.living_masters(node).await?;
    let lives = masters
        .iter()
        .any(|master| master.is_master && master.run == had.run && master.lineage == had.lineage);
    Ok(if lives { History::Kept } else { history })
}

fn check(answer: Answer, partitions: usize) -> Result<Answer, StoreError> {
    let (layout, split, ..) = answer;
    if layout > LAYOUT {
        return Err(StoreError::NewerLayout {
            store: STORE.to_owned(),
            found: layout,
            known: LAYOUT,
        });
    }
    if usize::from(split) != partitions {
        return Err(StoreError::OtherPartitions {
            store: STORE.to_owned(),
            found: split,
            configured: u16::try_from(partitions).unwrap_or(u16::MAX),
        });
    }
    Ok(answer)
}
