//! One `[[connector]]` of the configuration, as its crate sees it.

use std::fmt;

use figment::error::Kind;
use figment::value::{Dict, Value};
use isr_core::{InvalidOption, excerpt_within};
use serde::de::DeserializeOwned;

/// What the configuration says of one connector: its name, and the options of its kind.
#[derive(Clone)]
pub struct Section {
    name: String,
    options: Dict,
}

impl Section {
    pub(crate) const fn new(name: String, options: Dict) -> Self {
        Self { name, options }
    }

    /// The name that the configuration gives it; its kind where it gives none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options, as the type that the kind has for them. Options kept in files have been read:
    /// `token_file = "…"` is `token`.
    ///
    /// # Errors
    ///
    /// Options that the type refuses: an unknown one, with the nearest that it knows, or one of the wrong
    /// kind. Values are not repeated, since any of them may be a secret.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T, InvalidOption> {
        Value::from(self.options.clone())
            .deserialize()
            .map_err(|error| invalid(&error))
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Any option may be a secret.
        let options: Vec<&String> = self.options.keys().collect();
        f.debug_struct("Section")
            .field("name", &self.name)
            .field("options", &options)
            .finish()
    }
}

fn invalid(error: &figment::Error) -> InvalidOption {
    let mut path = error.path.clone();
    let fault = match &error.kind {
        Kind::UnknownField(name, known) => {
            if path.last() != Some(name) {
                path.push(name.clone());
            }
            let closeness = |known: &&&str| strsim::jaro_winkler(known, name);
            let nearest = known
                .iter()
                .max_by(|a, b| closeness(a).total_cmp(&closeness(b)));
            match nearest {
                Some(nearest) => format!("is no option of this kind: did you mean `{nearest}`?"),
                None => "is no option of this kind, which has none".to_owned(),
            }
        }
        Kind::MissingField(name) => {
            path.push(name.to_string());
            "is missing".to_owned()
        }
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            format!("has to be {expected}")
        }
        Kind::UnknownVariant(_, known) => format!("has to be one of {}", known.join(", ")),
        Kind::Message(message) => format!("cannot be used: {}", excerpt_within(message, 200)),
        _ => "cannot be used".to_owned(),
    };
    InvalidOption::new(path.join("."), fault)
}

#[cfg(test)]
mod tests {
    use figment::Figment;
    use figment::providers::{Format as _, Toml};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        zone: String,
        batch: u32,
        plan: Option<Plan>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Plan {
        Free,
        Pro,
    }

    fn section(toml: &str) -> Section {
        let options: Dict = Figment::from(Toml::string(toml)).extract().unwrap();
        Section::new("cdn".into(), options)
    }

    fn refused(toml: &str) -> String {
        section(toml).options::<Options>().unwrap_err().to_string()
    }

    #[test]
    fn options_are_read_into_their_type() {
        let options: Options = section("zone = \"z\"\nbatch = 3\nplan = \"pro\"")
            .options()
            .unwrap();
        assert_eq!((options.zone.as_str(), options.batch), ("z", 3));
        assert!(matches!(options.plan, Some(Plan::Pro)));
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_values() {
        assert_eq!(
            refused("zne = \"hunter2\""),
            "zne is no option of this kind: did you mean `zone`?"
        );
        assert_eq!(refused("batch = \"hunter2\""), "batch has to be u32");
        assert_eq!(
            refused("plan = \"hunter2\""),
            "plan has to be one of free, pro"
        );
        let plan = Plan::Free;
        assert!(matches!(plan, Plan::Free));
    }

    #[test]
    fn no_option_is_shown() {
        let shown = format!("{:?}", section("token = \"hunter2\""));
        assert!(
            shown.contains("token") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
