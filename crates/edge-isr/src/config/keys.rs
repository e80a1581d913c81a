//! The list of all keys, taken from the types that read them.

use figment::error::Kind;
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::raw;

/// Every key with its section, in the order in which the sections are declared: `site.origin`.
#[must_use]
pub fn keys() -> Vec<String> {
    let sections = [
        ("site", fields::<raw::Site>()),
        ("listen", fields::<raw::Listen>()),
        ("store", fields::<raw::Store>()),
        ("edge", fields::<raw::Edge>()),
        ("layer", fields::<raw::Layer>()),
        ("connector", raw::Connector::KEYS),
        ("rule", fields::<raw::Rule>()),
        ("urls", fields::<raw::Urls>()),
        ("revalidate", fields::<raw::Revalidate>()),
        ("warm", fields::<raw::Warm>()),
        ("worker", fields::<raw::Worker>()),
        ("admin", fields::<raw::Admin>()),
    ];
    let keys_of = |(section, fields): (&str, &[&str])| -> Vec<String> {
        fields
            .iter()
            .map(|field| format!("{section}.{field}"))
            .collect()
    };
    sections.into_iter().flat_map(keys_of).collect()
}

/// The fields of a section: a type that refuses unknown fields says which it knows.
fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let stranger = Value::from(Dict::from([(String::new(), Value::from(0_u8))]));
    match stranger.deserialize::<T>().map_err(|error| error.kind) {
        Err(Kind::UnknownField(_, known)) => known,
        _ => unreachable!("sections refuse a field without a name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_is_listed() {
        let mut sections: Vec<String> = keys()
            .iter()
            .map(|key| key.split_once('.').unwrap().0.to_owned())
            .collect();
        sections.dedup();
        assert_eq!(sections, fields::<raw::Raw>());
    }

    #[test]
    fn keys_are_written_with_their_section() {
        let keys = keys();
        assert!(keys.contains(&"site.origin".to_owned()), "{keys:?}");
        assert!(keys.contains(&"rule.s_maxage".to_owned()), "{keys:?}");
    }

    #[test]
    fn every_key_is_described_in_the_reference() {
        let reference = include_str!("../../../../docs/configuration.md");
        for key in keys() {
            assert!(
                reference.contains(&format!("`{key}`")),
                "docs/configuration.md does not describe `{key}`"
            );
        }
    }
}
