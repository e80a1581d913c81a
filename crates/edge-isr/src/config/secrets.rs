//! Secrets that are kept in files.

use std::fs;

use figment::value::{Dict, Value};
use isr_core::Secret;

use super::raw::{HiddenText, Raw};

/// A key, and what is wrong with it.
pub(super) type KeyFault = (String, String);

/// The same values with every secret that is kept in a file read from it. One that is given both ways
/// is refused, since nobody could say which counts.
pub(super) fn read_secrets(raw: &Raw) -> (Raw, Vec<KeyFault>) {
    let mut raw = raw.clone();
    let places = [
        ("store.url", &mut raw.store.url, &raw.store.url_file),
        ("warm.key", &mut raw.warm.key, &raw.warm.key_file),
        ("admin.token", &mut raw.admin.token, &raw.admin.token_file),
    ];
    let mut faults = Vec::new();
    for (key, secret, file) in places {
        let Some(file) = file else { continue };
        if secret.is_some() {
            faults.push((
                format!("{key}_file"),
                format!("cannot be given beside `{key}`: remove one of them"),
            ));
            continue;
        }
        match read_trimmed(file) {
            Ok(text) => *secret = Some(HiddenText(Secret::new(text))),
            Err(message) => faults.push((format!("{key}_file"), message)),
        }
    }
    for (index, connector) in raw.connector.iter_mut().enumerate() {
        read_options(index, &mut connector.options, &mut faults);
    }
    (raw, faults)
}

/// Puts what the file holds in place of each option `x_file`, as the option `x`.
fn read_options(index: usize, options: &mut Dict, faults: &mut Vec<KeyFault>) {
    let in_files: Vec<(String, String)> = options
        .keys()
        .filter_map(|key| Some((key.clone(), key.strip_suffix("_file")?.to_owned())))
        .collect();
    for (key, option) in in_files {
        let file = options.remove(&key);
        let mut fault =
            |message: String| faults.push((format!("connector.{index}.{key}"), message));
        if options.contains_key(&option) {
            fault(format!(
                "cannot be given beside `{option}`: remove one of them"
            ));
            continue;
        }
        let Some(file) = file.as_ref().and_then(|file| file.as_str()) else {
            fault("has to be the path of a file, in quotes".to_owned());
            continue;
        };
        match read_trimmed(file) {
            Ok(text) => {
                options.insert(option, Value::from(text));
            }
            Err(message) => fault(message),
        }
    }
}

/// A file's text, without the line end that an editor leaves after the last line.
fn read_trimmed(file: &str) -> Result<String, String> {
    fs::read_to_string(file)
        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|error| format!("names {file}, which cannot be read: {error}"))
}
