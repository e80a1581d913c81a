//! `edge-isr config`: the configuration.

use std::path::Path;

use edge_isr::config::{self, Entry, Loaded};
use edge_isr::connectors::Registry;
use serde_json::{Value, json};

use crate::cli;
use crate::failure::Failure;
use crate::output::{Lines, Output};
use crate::server::usage;

pub(super) fn run(what: &cli::Config, file: Option<&Path>, output: Output) -> Result<(), Failure> {
    let loaded = config::load(file)?;
    match what {
        cli::Config::Check => {
            // What only a connector knows of its options is checked when it is made.
            edge_isr::check_connectors(&loaded.config, &Registry::built_in()).map_err(usage)?;
            check(&loaded, output);
        }
        cli::Config::Print => print(&loaded, output),
    }
    Ok(())
}

fn check(loaded: &Loaded, output: Output) {
    let file = loaded.file.as_ref().map(|file| file.display().to_string());
    let set = loaded
        .entries
        .iter()
        .filter(|entry| entry.source.is_some())
        .count();
    output.result(&json!({"ok": true, "file": file, "keys_set": set}), || {
        let file = file.as_deref().unwrap_or("no file");
        format!("the configuration is good ({file}; {set} keys differ from their defaults)")
    });
}

fn print(loaded: &Loaded, output: Output) {
    let json: Vec<Value> = loaded
        .entries
        .iter()
        .map(|entry| json!({"key": entry.key, "value": entry.value, "source": entry.source}))
        .collect();
    output.result(&json, || toml(&loaded.entries, output));
}

/// The entries as a TOML file, with the source of each value behind it.
fn toml(entries: &[Entry], output: Output) -> String {
    let mut text = Lines::default();
    let mut section = "";
    for entry in entries {
        let (of, key) = entry
            .key
            .rsplit_once('.')
            .expect("keys are written with their section");
        if of != section {
            let head = match of.split_once('.') {
                Some((list, _)) => format!("[[{list}]]"),
                None => format!("[{of}]"),
            };
            text.gap();
            text.line(output.heading(&head));
            section = of;
        }
        let source = entry
            .source
            .as_deref()
            .map(|source| format!("  # {source}"))
            .unwrap_or_default();
        text.line(match &entry.value {
            Value::Null => output.faint(&format!("# {key} is not set")),
            // Texts, numbers, booleans and lists of texts are written alike in JSON and TOML.
            value => format!("{key} = {value}{}", output.faint(&source)),
        });
    }
    text.into_text()
}
