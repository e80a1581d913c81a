//! From layers to a checked configuration.

use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile};

use super::certificates::read_roots;
use super::check::check;
use super::error::{ConfigError, Fault};
use super::layers::{with_environment, with_file};
use super::listing::{self, Entry};
use super::model::Config;
use super::nearest::nearest_key;
use super::raw::Raw;
use super::secrets::read_secrets;

/// The file that is read when none is named and it exists in the working directory.
pub const DEFAULT_FILE: &str = "edge-isr.toml";

/// A configuration, and where it came from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded {
    /// The checked configuration.
    pub config: Config,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Every key with its effective value, secrets as `***`, and the source of what is no default.
    pub entries: Vec<Entry>,
}

/// Loads the configuration: the defaults, over them `file` (or [`DEFAULT_FILE`], if there is one),
/// over that the environment. Secrets and certificates kept in files are read.
///
/// # Errors
///
/// Everything that is wrong is reported together: a named file that cannot be read, texts that are no
/// TOML or JSON, unknown keys (with the nearest known one), values of the wrong kind or out of range.
pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
    let default = Path::new(DEFAULT_FILE);
    let file = file.or_else(|| default.exists().then_some(default));
    let figment = match file {
        Some(file) => with_file(Figment::new(), file),
        None => Figment::new(),
    };
    checked(&Layers::read(with_environment(figment), file)?, file)
}

/// Reads a configuration from a TOML text alone, whatever files and variables there are.
///
/// # Errors
///
/// As [`load`].
pub fn parse(toml: &str) -> Result<Loaded, ConfigError> {
    checked(
        &Layers::read(Figment::from(Toml::string(toml)), None)?,
        None,
    )
}

fn checked(layers: &Layers, file: Option<&Path>) -> Result<Loaded, ConfigError> {
    let (raw, mut faults) = layers.raw();
    let (with_secrets, unreadable) = read_secrets(&raw);
    let (mut config, wrong) = match check(&with_secrets) {
        Ok(config) => (Some(config), Vec::new()),
        Err(wrong) => (None, wrong),
    };
    let roots = read_roots(&raw);
    if let (Ok(roots), Some(config)) = (&roots, &mut config) {
        config.edge.origin.extra_roots.clone_from(roots);
    }
    faults.extend(
        unreadable
            .into_iter()
            .chain(wrong)
            .chain(roots.err())
            .map(|(key, message)| layers.fault(key, message)),
    );
    match config {
        Some(config) if faults.is_empty() => {
            let entries = listing::entries(&raw, |key| layers.source(key));
            Ok(Loaded {
                config,
                file: file.map(Path::to_owned),
                entries,
            })
        }
        _ => Err(ConfigError { faults }),
    }
}

/// All layers merged, each value marked with the layer it came from. Holds secrets, so it is never shown.
struct Layers {
    figment: Figment,
    values: Dict,
}

impl Layers {
    fn read(figment: Figment, file: Option<&Path>) -> Result<Self, ConfigError> {
        let source = || file.map(|file| file.display().to_string());
        let unreadable = |error: figment::Error| ConfigError {
            faults: vec![Fault {
                key: String::new(),
                source: None,
                message: match source() {
                    Some(file) => format!("{file} cannot be read: {}", error.kind),
                    None => error.kind.to_string(),
                },
            }],
        };
        let mut profiles = figment::Provider::data(&figment).map_err(unreadable)?;
        let values = profiles.remove(&Profile::Default).unwrap_or_default();
        Ok(Self { figment, values })
    }

    /// Reads the values into their types. What cannot be read is reported and left at its default,
    /// so that one look finds every fault.
    fn raw(&self) -> (Raw, Vec<Fault>) {
        let mut values = self.values.clone();
        let mut faults = Vec::new();
        loop {
            let layered = Figment::from(Serialized::defaults(values.clone()));
            let error = match layered.extract_lossy::<Raw>() {
                Ok(raw) => return (raw, faults),
                Err(error) => error,
            };
            let path = path_of(&error);
            faults.push(self.fault(path.join("."), message_of(&error.kind, &path)));
            if !remove(&mut values, &path) {
                return (Raw::default(), faults);
            }
        }
    }

    fn fault(&self, key: String, message: String) -> Fault {
        Fault {
            source: self.source(&key),
            key,
            message,
        }
    }

    /// The file or variable that the value at a key came from; `None` when it is a default.
    fn source(&self, key: &str) -> Option<String> {
        let mut parts = key.split('.');
        let mut value = self.values.get(parts.next()?)?;
        for part in parts {
            value = child(value, part)?;
        }
        let source = self.figment.get_metadata(value.tag())?.source.as_ref()?;
        match source.file_path() {
            Some(file) => Some(file.display().to_string()),
            None => Some(source.custom()?.to_owned()),
        }
    }
}

fn child<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Dict(_, dict) => dict.get(key),
        Value::Array(_, list) => list.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The path of the value at fault, an unknown key included.
fn path_of(error: &figment::Error) -> Vec<String> {
    let mut path = error.path.clone();
    if let Kind::UnknownField(name, _) = &error.kind
        && path.last() != Some(name)
    {
        path.push(name.clone());
    }
    path
}

fn message_of(kind: &Kind, path: &[String]) -> String {
    match kind {
        Kind::UnknownField(..) => {
            // A rule's number is no part of the key.
            let key: Vec<&str> = path
                .iter()
                .map(String::as_str)
                .filter(|part| part.parse::<usize>().is_err())
                .collect();
            format!(
                "is not a known key: did you mean `{}`?",
                nearest_key(&key.join("."))
            )
        }
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("is {actual}: expected {expected}")
        }
        Kind::UnknownVariant(actual, known) => {
            format!("is `{actual}`: expected one of {}", known.join(", "))
        }
        Kind::Message(message) => message.clone(),
        other => other.to_string(),
    }
}

/// Removes the value at a path, and says whether it was there.
fn remove(values: &mut Dict, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return false;
    };
    if rest.is_empty() {
        return values.remove(first).is_some();
    }
    match values.get_mut(first) {
        Some(Value::Dict(_, dict)) => remove(dict, rest),
        Some(Value::Array(_, list)) => {
            let Some((index, rest)) = rest.split_first() else {
                return false;
            };
            let index = index
                .parse::<usize>()
                .ok()
                .filter(|&index| index < list.len());
            match (index, rest) {
                (Some(index), []) => {
                    list.remove(index);
                    true
                }
                (Some(index), rest) => match list.get_mut(index) {
                    Some(Value::Dict(_, dict)) => remove(dict, rest),
                    _ => false,
                },
                (None, _) => false,
            }
        }
        _ => false,
    }
}
