//! What the writer of an unknown key may have meant.

use super::keys::keys;

/// The known key that an unknown one is most like. Dots and underscores count as the same, since
/// `EDGE_ISR_SITE_ORIGIN` has one underscore too few to be `site.origin`.
pub(super) fn nearest_key(unknown: &str) -> String {
    let flat = |key: &str| key.replace('.', "_");
    let wanted = flat(unknown);
    let sections = keys()
        .into_iter()
        .filter_map(|key| Some(key.split_once('.')?.0.to_owned()));
    let candidates = if unknown.contains('.') {
        keys()
    } else {
        keys().into_iter().chain(sections).collect()
    };
    let closeness = |key: &String| strsim::jaro_winkler(&flat(key), &wanted);
    candidates
        .into_iter()
        .max_by(|a, b| closeness(a).total_cmp(&closeness(b)))
        .expect("there are keys")
}

#[cfg(test)]
mod tests {
    use super::nearest_key;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let cases = [
            ("site.orign", "site.origin"),
            ("edge.max_memory", "edge.memory"),
            ("rule.smaxage", "rule.s_maxage"),
            ("warm.key_flie", "warm.key_file"),
            ("site_origin", "site.origin"),
            ("sites", "site"),
            ("rules", "rule"),
        ];
        for (unknown, meant) in cases {
            assert_eq!(nearest_key(unknown), meant, "{unknown}");
        }
    }
}
