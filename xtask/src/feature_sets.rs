//! Which features of a crate are worth building it with.

use std::collections::{BTreeMap, BTreeSet};

/// What each feature switches on, as Cargo lists it.
type Features = BTreeMap<String, Vec<String>>;

/// The values of `--features` to try beside `--no-default-features`: none first, then each feature alone.
///
/// Features that switch on the same set, as `default` often does, are tried once.
pub(crate) fn feature_sets(features: &Features) -> Vec<String> {
    let mut tried = BTreeSet::new();
    std::iter::once("")
        .chain(features.keys().map(String::as_str))
        .filter(|name| tried.insert(switched_on(name, features)))
        .map(str::to_owned)
        .collect()
}

/// The features that are on when `name` is: itself and, over any number of steps, what it names.
///
/// `default` is only a name for others, so it does not count as one itself.
fn switched_on<'a>(name: &'a str, features: &'a Features) -> BTreeSet<&'a str> {
    let mut on = BTreeSet::new();
    let mut to_visit = vec![name];
    while let Some(name) = to_visit.pop() {
        // Entries such as `dep:redis` or `tokio/rt` are no features of this crate.
        let Some(named) = features.get(name) else {
            continue;
        };
        if on.insert(name) {
            to_visit.extend(named.iter().map(String::as_str));
        }
    }
    on.remove("default");
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(features: &[(&str, &[&str])], expected: &[&str]) {
        let features = features
            .iter()
            .map(|(name, named)| {
                (
                    (*name).to_owned(),
                    named.iter().map(|&n| n.to_owned()).collect(),
                )
            })
            .collect();
        assert_eq!(feature_sets(&features), expected);
    }

    #[test]
    fn a_crate_without_features_is_built_once() {
        check(&[], &[""]);
    }

    #[test]
    fn each_feature_is_tried_alone_and_the_default_where_it_differs() {
        check(
            &[("default", &["a", "b"]), ("a", &["dep:x"]), ("b", &["y/z"])],
            &["", "a", "b", "default"],
        );
    }

    #[test]
    fn features_that_switch_on_the_same_set_are_tried_once() {
        check(&[("default", &["a"]), ("a", &[])], &["", "a"]);
        check(
            &[("default", &[]), ("a", &["b"]), ("b", &["a"])],
            &["", "a"],
        );
    }
}
