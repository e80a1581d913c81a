//! Which features of a crate are worth building it with.

use std::collections::{BTreeMap, BTreeSet};

/// What each feature switches on, as Cargo lists it.
type Features = BTreeMap<String, Vec<String>>;

/// The values of `--features` to try beside `--no-default-features`: none first, then each feature alone.
///
/// Features that switch on the same set, as `default` often does, are tried once; those that switch on
/// everything are left out, because the whole workspace is built with everything on.
pub(crate) fn feature_sets(features: &Features) -> Vec<String> {
    let names = features.keys().map(String::as_str);
    let everything = names.filter(|name| *name != "default").collect();
    let mut tried = BTreeSet::from([everything]);
    // Where there is no feature, none and everything are the same.
    tried.remove(&BTreeSet::new());
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
        check(&[("default", &[])], &[""]);
    }

    #[test]
    fn each_feature_is_tried_alone() {
        check(
            &[("default", &["a", "b"]), ("a", &["dep:x"]), ("b", &["y/z"])],
            &["", "a", "b"],
        );
    }

    #[test]
    fn features_that_switch_on_the_same_set_are_tried_once() {
        check(
            &[
                ("a", &["b"]),
                ("b", &["a"]),
                ("c", &[]),
                ("d", &[]),
                ("default", &["c", "d"]),
            ],
            &["", "a", "c", "d", "default"],
        );
    }

    #[test]
    fn what_switches_on_everything_is_left_to_the_whole_workspace() {
        check(&[("default", &["a"]), ("a", &[])], &[""]);
        check(
            &[
                ("default", &[]),
                ("full", &["a", "b"]),
                ("a", &[]),
                ("b", &[]),
            ],
            &["", "a", "b"],
        );
    }
}
