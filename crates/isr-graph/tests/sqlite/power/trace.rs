//! What a process asked of the disk, as `strace` saw it.

use std::fmt;
use std::process::Command;

use isr_graph::Durability;

use super::life;

/// The calls by which files change, become durable, or get and lose their names.
const CALLS: &str = "openat,pwrite64,write,ftruncate,fallocate,fsync,fdatasync,unlink,unlinkat,link,linkat,\
                     rename,renameat,renameat2";

/// Who is in the middle of a call: a thread makes one at a time.
pub(crate) type Thread = u32;

/// Something that a process did. Files are named as in the store's directory, and that itself by an empty name.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A file is opened, and created when there is none.
    Opened {
        name: String,
        emptied: bool,
    },
    /// A write begins: from now on some of it may be on the disk. Without an offset it is at the end.
    WriteBegan {
        by: Thread,
        name: String,
        offset: Option<usize>,
        data: Vec<u8>,
    },
    WriteEnded {
        by: Thread,
    },
    Cut {
        name: String,
        length: usize,
    },
    SyncBegan {
        by: Thread,
        name: String,
    },
    /// All that was written before the sync began is durable.
    SyncEnded {
        by: Thread,
        name: String,
    },
    Linked {
        from: String,
        to: String,
    },
    Unlinked {
        name: String,
    },
    /// It tells what was acknowledged.
    Said(String),
}

impl Event {
    /// Whether losing power right after it differs from losing it right before.
    pub(crate) fn is_moment(&self) -> bool {
        !matches!(self, Self::WriteEnded { .. } | Self::SyncBegan { .. })
    }

    pub(crate) fn is_sync_of(&self, suffix: &str) -> bool {
        matches!(self, Self::SyncEnded { name, .. } if name.ends_with(suffix))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteBegan {
                name, offset, data, ..
            } => write!(f, "{} bytes written to {name} at {offset:?}", data.len()),
            other => write!(f, "{other:?}"),
        }
    }
}

/// All that a process did to the files of one directory.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) events: Vec<Event>,
}

/// Lets a process live on a store, and watches it. `None` where that cannot be watched.
pub(crate) fn record(durability: Durability) -> Option<Trace> {
    let ends_well = |command: &mut Command| command.output().is_ok_and(|it| it.status.success());
    if !ends_well(Command::new("strace").args(["-f", "-y", "-o", "/dev/null", "true"])) {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    // As the kernel knows it, whatever links lead there.
    let watched = directory.path().canonicalize().unwrap().join("store");
    std::fs::create_dir(&watched).unwrap();
    let log = directory.path().join("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-y", "-xx", "-s", "1048576", "--seccomp-bpf", "-o"])
        .arg(&log)
        .args(["-e", &format!("trace={CALLS}")])
        .arg(std::env::current_exe().unwrap());
    let output = life::told(&mut command, &watched, durability)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&log).unwrap();
    let mut reader = Reader {
        watched: watched.to_str().unwrap().to_owned(),
        unfinished: Vec::new(),
        events: Vec::new(),
    };
    text.lines().for_each(|line| reader.line(line));
    Some(Trace {
        events: reader.events,
    })
}

struct Reader {
    watched: String,
    /// Calls whose end has not come yet, each with what was said of it.
    unfinished: Vec<(Thread, String)>,
    events: Vec<Event>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let (thread, said) = line.split_once(' ').unwrap();
        let (thread, said) = (thread.parse().unwrap(), said.trim_start());
        if let Some(begun) = said.strip_suffix(" <unfinished ...>") {
            self.begins(thread, begun);
            self.unfinished.push((thread, begun.to_owned()));
        } else if let Some(rest) = said.strip_prefix("<... ") {
            let index = self.unfinished.iter().position(|(by, _)| *by == thread);
            // A thread that was killed in a call is not heard of again; nor is what was not asked for.
            if let Some(index) = index {
                let (_, begun) = self.unfinished.swap_remove(index);
                self.ends(thread, &begun, result(rest));
            }
        } else if said.contains('(') {
            self.begins(thread, said);
            self.ends(thread, said, result(said));
        }
    }

    /// The name of a file in the watched directory.
    fn name(&self, path: &str) -> Option<String> {
        let below = path.strip_prefix(&self.watched)?;
        Some(below.trim_start_matches('/').to_owned())
    }

    fn begins(&mut self, by: Thread, call: &str) {
        let Some(name) = paths(call).first().and_then(|path| self.name(path)) else {
            return;
        };
        if call.starts_with("pwrite64(") || call.starts_with("write(") {
            let (data, rest) = bytes_written(call);
            let offset = call.starts_with('p').then(|| number_at_the_end(rest));
            self.events.push(Event::WriteBegan {
                by,
                name,
                offset,
                data,
            });
        } else if call.starts_with("fsync(") || call.starts_with("fdatasync(") {
            self.events.push(Event::SyncBegan { by, name });
        }
    }

    fn ends(&mut self, by: Thread, call: &str, result: Option<i64>) {
        let Some(result) = result else { return };
        if call.starts_with("write(1<") {
            let (data, _) = bytes_written(call);
            let text = String::from_utf8_lossy(&data).into_owned();
            let said = text.lines().filter_map(|line| line.split_once("said "));
            self.events
                .extend(said.map(|(_, said)| Event::Said(said.to_owned())));
        }
        let names: Vec<String> = paths(call).iter().filter_map(|it| self.name(it)).collect();
        let ([name] | [_, name]) = names.as_slice() else {
            return;
        };
        let name = name.clone();
        let kind = call.split('(').next().unwrap();
        if result < 0 {
            // A write that failed is nothing that a test of lost power can be about.
            assert!(!kind.contains("write"), "{kind} of {name} failed");
            return;
        }
        let event = match kind {
            "openat" if call.contains("O_CREAT") => Event::Opened {
                name,
                emptied: call.contains("O_TRUNC"),
            },
            "pwrite64" | "write" => Event::WriteEnded { by },
            "ftruncate" => Event::Cut {
                name,
                length: number_at_the_end(call),
            },
            "fsync" | "fdatasync" => Event::SyncEnded { by, name },
            "unlink" | "unlinkat" => Event::Unlinked { name },
            "link" | "linkat" => Event::Linked {
                from: names[0].clone(),
                to: name,
            },
            "openat" => return,
            other => panic!("the model knows no {other}"),
        };
        self.events.push(event);
    }
}

/// What a call gave; `None` where its thread was ended within it.
fn result(said: &str) -> Option<i64> {
    let (_, result) = said.rsplit_once(" = ").unwrap();
    let result = result.split(' ').next().unwrap();
    (result != "?").then(|| {
        let number = result.split('<').next().unwrap();
        number.parse().unwrap()
    })
}

fn number_at_the_end(call: &str) -> usize {
    let arguments = call.split(')').next().unwrap();
    arguments.rsplit(", ").next().unwrap().parse().unwrap()
}

/// The files that a call names, by path or by an open file; not the directory that a path is relative to.
fn paths(call: &str) -> Vec<String> {
    let arguments = call.split_once('(').map_or("", |(_, arguments)| arguments);
    let mut paths = Vec::new();
    if call.contains("write") {
        let opened = arguments
            .split_once('<')
            .and_then(|(_, it)| it.split_once('>'));
        paths.extend(opened.map(|(path, _)| text(path)));
    } else if arguments.contains('"') {
        paths.extend(arguments.split('"').skip(1).step_by(2).map(text));
    } else {
        let opened = arguments
            .split_once('<')
            .and_then(|(_, it)| it.split_once('>'));
        paths.extend(opened.map(|(path, _)| text(path)));
    }
    paths
}

/// What was written, and what follows in the call.
fn bytes_written(call: &str) -> (Vec<u8>, &str) {
    let (_, from) = call.split_once('"').unwrap();
    let (data, rest) = from.split_once('"').unwrap();
    assert!(!rest.starts_with("..."), "all that was written is needed");
    (bytes(data), rest)
}

fn text(hex: &str) -> String {
    String::from_utf8(bytes(hex)).unwrap()
}

/// Of `\x61\x62`, which is how every string is shown.
fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.split("\\x").skip(1);
    digits
        .map(|it| u8::from_str_radix(&it[..2], 16).unwrap())
        .collect()
}
