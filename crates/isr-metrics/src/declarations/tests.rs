use std::collections::HashSet;

use super::*;
use crate::declaration::Kind;

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.contains("__")
        && !name.ends_with('_')
}

#[test]
fn names_are_of_one_prefix_in_snake_case_and_unlike_one_another() {
    let mut seen = HashSet::new();
    for declaration in ALL {
        let name = declaration.name;
        assert!(
            (name.starts_with("edge_isr_") || OF_PROCESS.iter().any(|of| of.name == name))
                && is_snake_case(name),
            "{name}"
        );
        assert!(seen.insert(name), "{name} is declared twice");
    }
}

#[test]
fn a_name_tells_kind_and_unit_as_prometheus_wants() {
    for declaration in ALL {
        let (name, unit) = (declaration.name, declaration.unit.as_str());
        let counted = name.strip_suffix("_total");
        assert_eq!(
            counted.is_some(),
            declaration.kind == Kind::Counter,
            "{name}"
        );
        assert!(
            counted.unwrap_or(name).ends_with(unit),
            "{name} does not end in {unit}"
        );
        for reserved in ["_count", "_sum", "_bucket", "_created"] {
            assert!(
                !name.ends_with(reserved),
                "{name} looks like a part of a histogram"
            );
        }
        for word in name.split('_') {
            let kinds = ["counter", "gauge", "histogram", "summary"];
            let scaled = [
                "ms",
                "milliseconds",
                "microseconds",
                "minutes",
                "hours",
                "kilobytes",
                "percent",
            ];
            assert!(
                !kinds.contains(&word) && !scaled.contains(&word),
                "{name}: {word}"
            );
            let units = [Unit::Seconds, Unit::Bytes, Unit::Ratio].map(Unit::as_str);
            assert!(
                word == unit || !units.contains(&word),
                "{name} is not in {word}"
            );
        }
    }
}

#[test]
fn help_is_one_sentence() {
    for Declaration { name, help, .. } in ALL {
        assert!(
            help.ends_with('.') && help.matches(". ").count() == 0,
            "{name}: {help}"
        );
        assert!(
            help.starts_with(|c: char| c.is_ascii_uppercase()),
            "{name}: {help}"
        );
    }
}

#[test]
fn labels_are_few_named_alike_and_closed() {
    for Declaration { name, labels, .. } in ALL {
        assert!(labels.len() <= 2, "{name} multiplies its series");
        for label in *labels {
            assert!(is_snake_case(label.name), "{name}: {}", label.name);
            assert!(
                !["le", "quantile", "job", "instance"].contains(&label.name),
                "{name}"
            );
            assert!(
                !name.contains(&format!("_{}_", label.name)),
                "{name} repeats {}",
                label.name
            );
            if let Values::Closed(values) = label.values {
                let distinct: HashSet<_> = values.iter().collect();
                assert!(
                    !values.is_empty() && distinct.len() == values.len(),
                    "{name}: {values:?}"
                );
            }
        }
    }
}

#[test]
fn buckets_go_up_from_100_microseconds_to_a_minute() {
    assert!(BUCKETS.is_sorted_by(|a, b| a < b));
    assert_eq!(
        (BUCKETS.first(), BUCKETS.last()),
        (Some(&0.000_1), Some(&60.0))
    );
}
