//! The layers of the configuration: a file, and over it the environment.

use std::path::Path;

use figment::providers::{Format, Json, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

/// How the names of environment variables begin.
pub(super) const PREFIX: &str = "EDGE_ISR_";

/// Variables with that beginning which are no configuration keys: the program's log filter, its
/// configuration file, the server and token of its command line, and what tests are told.
const RESERVED: [&str; 4] = [
    "EDGE_ISR_LOG",
    "EDGE_ISR_CONFIG",
    "EDGE_ISR_SERVER",
    "EDGE_ISR_TOKEN",
];
const RESERVED_PREFIX: &str = "EDGE_ISR_TEST_";

/// Adds a file, read as JSON when its name ends in `.json` and as TOML otherwise.
pub(super) fn with_file(figment: Figment, file: &Path) -> Figment {
    if file
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        figment.merge(Json::file_exact(file))
    } else {
        figment.merge(Toml::file_exact(file))
    }
}

/// Adds every environment variable that names a key.
pub(super) fn with_environment(figment: Figment) -> Figment {
    let variables = std::env::vars_os().filter_map(|(name, text)| {
        let (name, text) = (name.into_string().ok()?, text.into_string().ok()?);
        let reserved = RESERVED.contains(&name.as_str()) || name.starts_with(RESERVED_PREFIX);
        (name.starts_with(PREFIX) && !reserved).then_some(Variable { name, text })
    });
    variables.fold(figment, Figment::merge)
}

/// One environment variable, a layer of its own so that an error can name it.
struct Variable {
    name: String,
    text: String,
}

impl Variable {
    /// `EDGE_ISR_SITE__ORIGIN` is `site.origin`.
    fn key(&self) -> String {
        let key = self.name.strip_prefix(PREFIX).unwrap_or(&self.name);
        key.to_ascii_lowercase().replace("__", ".")
    }

    /// Lists and tables are written as in TOML; anything else is a text, so that a token of digits
    /// keeps its zeros. Keys that want a number or a boolean read it from the text.
    fn value(&self) -> Value {
        if self.text.starts_with(['[', '{']) {
            match self.text.parse() {
                Ok(value) => value,
                Err(never) => match never {},
            }
        } else {
            Value::from(self.text.as_str())
        }
    }
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::from("environment variable", Source::Custom(self.name.clone()))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let nested = figment::util::nest(&self.key(), self.value());
        let dict = nested.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}
