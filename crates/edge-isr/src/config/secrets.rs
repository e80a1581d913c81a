//! Secrets that are kept in files.

use std::fs;

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
        match fs::read_to_string(file) {
            // An editor leaves a line end after the last line.
            Ok(text) => {
                *secret = Some(HiddenText(Secret::new(text.trim_end_matches(['\r', '\n']))));
            }
            Err(error) => faults.push((
                format!("{key}_file"),
                format!("names {file}, which cannot be read: {error}"),
            )),
        }
    }
    (raw, faults)
}
