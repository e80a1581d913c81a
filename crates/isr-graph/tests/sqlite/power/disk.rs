//! A disk as the kernel sees it, and as it may be found when power was lost.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::trace::{Event, Thread};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What becomes of what was not made durable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// All of it is lost.
    All,
    /// It happens to be on the disk.
    Nothing,
    /// Some sectors, and some changes of lengths and names, are on the disk: which, a seed says.
    Torn(u64),
}

/// The files after a loss of power.
#[derive(Debug, Hash)]
pub(crate) struct Image(BTreeMap<String, Vec<u8>>);

impl Image {
    pub(crate) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        std::hash::Hash::hash(self, &mut hasher);
        hasher.finish()
    }

    pub(crate) fn write_to(&self, directory: &Path) {
        for (name, content) in &self.0 {
            std::fs::write(directory.join(name), content).unwrap();
        }
    }
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Cut { length: usize },
}

/// Something that is not durable yet.
#[derive(Debug)]
struct Pending<C> {
    number: u64,
    /// Whose call has not ended yet.
    by: Option<Thread>,
    change: C,
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Pending<Change>>,
    /// As it is while there is power.
    length: usize,
}

/// A name that comes to stand for a file, or for none.
type Naming = (String, Option<usize>);

/// A directory, and all that was ever in it.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<Pending<Naming>>,
    /// What is durable once each sync under way has ended.
    syncs: BTreeMap<Thread, Vec<u64>>,
    changes: u64,
}

impl Disk {
    pub(crate) fn happen(&mut self, event: &Event) {
        match event {
            Event::Opened { name, emptied } => {
                if !self.names.contains_key(name) {
                    self.files.push(File::default());
                    self.rename(name, Some(self.files.len() - 1));
                } else if *emptied {
                    self.change(name, None, Change::Cut { length: 0 });
                }
            }
            Event::WriteBegan {
                by,
                name,
                offset,
                data,
            } => {
                let offset = offset.or_else(|| Some(self.file(name)?.length));
                let (offset, data) = (offset.unwrap_or_default(), data.clone());
                self.change(name, Some(*by), Change::Write { offset, data });
            }
            Event::Cut { name, length } => {
                let length = *length;
                self.change(name, None, Change::Cut { length });
            }
            Event::WriteEnded { by } => {
                let pending = self.files.iter_mut().flat_map(|file| &mut file.pending);
                for pending in pending.filter(|it| it.by == Some(*by)) {
                    pending.by = None;
                }
            }
            Event::SyncBegan { by, name } => {
                let waiting = self.waiting(name);
                self.syncs.insert(*by, waiting);
            }
            Event::SyncEnded { by, .. } => self.settle(*by),
            Event::Linked { from, to } => self.rename(to, self.names.get(from).copied()),
            Event::Unlinked { name } => self.rename(name, None),
            Event::Said(_) => {}
        }
    }

    /// The files as they may be found.
    pub(crate) fn after(&self, loss: Loss) -> Image {
        let mut luck = Luck::new(loss);
        let mut names = self.durable_names.clone();
        for pending in &self.pending_names {
            if luck.keeps() {
                name_it(&mut names, &pending.change);
            }
        }
        // The log's index is memory.
        names.retain(|name, _| !name.ends_with("-shm"));
        let content = |file: usize| {
            let file = &self.files[file];
            luck.turn();
            let mut content = file.durable.clone();
            for pending in &file.pending {
                apply(&mut content, &pending.change, &mut luck);
            }
            content
        };
        let files: Vec<usize> = names.values().copied().collect();
        let contents: Vec<Vec<u8>> = files.into_iter().map(content).collect();
        Image(names.into_keys().zip(contents).collect())
    }

    fn file(&self, name: &str) -> Option<&File> {
        self.names.get(name).map(|&file| &self.files[file])
    }

    fn next(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    fn change(&mut self, name: &str, by: Option<Thread>, change: Change) {
        let number = self.next();
        // What has lost its name cannot be found after a loss of power, unless the loss of the name was not
        // durable; SQLite writes to no such file.
        let Some(&file) = self.names.get(name) else {
            return;
        };
        let file = &mut self.files[file];
        file.length = match &change {
            Change::Write { offset, data } => file.length.max(offset + data.len()),
            Change::Cut { length } => *length,
        };
        file.pending.push(Pending { number, by, change });
    }

    fn rename(&mut self, name: &str, file: Option<usize>) {
        let (number, change) = (self.next(), (name.to_owned(), file));
        name_it(&mut self.names, &change);
        self.pending_names.push(Pending {
            number,
            by: None,
            change,
        });
    }

    /// What a sync that begins now makes durable.
    fn waiting(&self, name: &str) -> Vec<u64> {
        if name.is_empty() {
            return self.pending_names.iter().map(|it| it.number).collect();
        }
        let pending = self.file(name).into_iter().flat_map(|it| &it.pending);
        let done = pending.filter(|it| it.by.is_none());
        done.map(|it| it.number).collect()
    }

    fn settle(&mut self, by: Thread) {
        let numbers = self.syncs.remove(&by).unwrap_or_default();
        for file in &mut self.files {
            for done in file
                .pending
                .extract_if(.., |it| numbers.contains(&it.number))
            {
                apply(
                    &mut file.durable,
                    &done.change,
                    &mut Luck::new(Loss::Nothing),
                );
            }
        }
        let durable = |it: &mut Pending<Naming>| numbers.contains(&it.number);
        for done in self.pending_names.extract_if(.., durable) {
            name_it(&mut self.durable_names, &done.change);
        }
    }
}

fn name_it(names: &mut BTreeMap<String, usize>, (name, file): &Naming) {
    match file {
        Some(file) => names.insert(name.clone(), *file),
        None => names.remove(name),
    };
}

fn apply(content: &mut Vec<u8>, change: &Change, luck: &mut Luck) {
    match change {
        Change::Cut { length } => {
            if luck.keeps() {
                content.resize(*length, 0);
            }
        }
        Change::Write { offset, data } => {
            let (mut at, mut left) = (*offset, data.as_slice());
            while !left.is_empty() {
                let (sector, rest) = left.split_at(left.len().min(SECTOR - at % SECTOR));
                if luck.keeps() {
                    let end = at + sector.len();
                    content.resize(content.len().max(end), 0);
                    content[at..end].copy_from_slice(sector);
                }
                (at, left) = (at + sector.len(), rest);
            }
        }
    }
}

/// Decides what is kept.
struct Luck {
    random: Option<StdRng>,
    kept: f64,
}

impl Luck {
    fn new(loss: Loss) -> Self {
        let (random, kept) = match loss {
            Loss::All => (None, 0.0),
            Loss::Nothing => (None, 1.0),
            Loss::Torn(seed) => (Some(StdRng::seed_from_u64(seed)), 0.5),
        };
        Self { random, kept }
    }

    /// Little is kept of some files, and most of others.
    fn turn(&mut self) {
        if let Some(random) = &mut self.random {
            self.kept = [0.03, 0.5, 0.97][random.random_range(0..3)];
        }
    }

    fn keeps(&mut self) -> bool {
        match &mut self.random {
            Some(random) => random.random_bool(self.kept),
            None => self.kept > 0.5,
        }
    }
}
