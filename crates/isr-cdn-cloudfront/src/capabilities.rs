//! What CloudFront can do, as data.

use std::num::{NonZeroU32, NonZeroUsize};

use isr_core::{
    Ability, Capabilities, Cost, Dialect, Forbidden, TagHeader, TagHeaderLimits, TagSeparator,
    TagSupport,
};

use crate::options::Settings;

/// Paths without a wildcard, and tags, that may be in progress at once for one distribution.
///
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/InvalidationLimits.html>, read
/// 2026-11-22.
pub(crate) const PATHS_IN_PROGRESS: usize = 3_000;

/// Paths with a wildcard that may be in progress at once for one distribution; same page.
pub(crate) const WILDCARDS_IN_PROGRESS: usize = 15;

/// The most characters of a path.
///
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html>,
/// read 2026-11-22.
pub(crate) const LONGEST_PATH: usize = 4_000;

/// What a prefix is sent as: the path itself, its queries, and what is beneath it.
const PATHS_OF_A_PREFIX: NonZeroU32 = NonZeroU32::new(3).expect("3 is not 0");

/// Prefixes of one call: as many as their two wildcards each leave room for, counted in paths.
const PREFIX_PATHS_OF_A_CALL: NonZeroUsize =
    NonZeroUsize::new(WILDCARDS_IN_PROGRESS / 2 * 3).expect("21 is not 0");

const PATHS_OF_A_CALL: NonZeroUsize = NonZeroUsize::new(PATHS_IN_PROGRESS).expect("3000 is not 0");

/// Half a cent for each path once the first thousand of a month are used up, by the whole account; a
/// wildcard and a tag are one path each.
///
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/PayingForInvalidation.html>, read
/// 2026-11-22.
const COST: Cost = Cost {
    microdollars_per_item: 5_000,
    free_items_a_month: 1_000,
};

pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    let path = Ability::UNLIMITED.in_batches_of(PATHS_OF_A_CALL);
    Capabilities {
        url: Some(path.clone()),
        tag: settings.tag_header.is_some().then_some(path),
        prefix: Some(Ability {
            items_per_target: PATHS_OF_A_PREFIX,
            ..Ability::UNLIMITED.in_batches_of(PREFIX_PATHS_OF_A_CALL)
        }),
        everything: Some(Ability::UNLIMITED.in_batches_of(NonZeroUsize::MIN)),
        mixed_calls: true,
        // Amazon names no rate; after half a dozen calls in quick succession it throttles.
        concurrency: NonZeroUsize::MIN,
        observes_completion: true,
        cost: Some(COST),
        tags: settings.tag_header.as_ref().map(|name| {
            let header = TagHeader::Custom {
                name: name.clone(),
                separator: TagSeparator::Comma,
            };
            TagSupport {
                limits: tag_limits(&header),
                header,
                case_sensitive: false,
                stripped: false,
            }
        }),
        dialect: Dialect::CacheControlOnly,
        settling_time: settings.settling_time,
        ..Capabilities::default()
    }
}

/// 50 tags of each object are kept, of 256 characters each. A tag is printable ASCII without comma, as
/// every tag is here, and without `*`, which would be a wildcard.
///
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-tags.html>,
/// read 2026-11-22. How long the field may be is not said there.
fn tag_limits(header: &TagHeader) -> TagHeaderLimits {
    TagHeaderLimits {
        tags: 50,
        tag_bytes: 256,
        forbidden: Forbidden::characters("*"),
        ..header.limits()
    }
}

#[cfg(test)]
mod tests {
    use isr_core::{PageUrl, Tag, Target, calls, tag};

    use super::*;
    use crate::options::Options;

    fn can(tag_header: Option<&str>) -> Capabilities {
        let options = Options {
            distribution: Some("E1".into()),
            tag_header: tag_header.map(str::to_owned),
            ..Options::default()
        };
        capabilities(&options.check().unwrap())
    }

    #[test]
    fn tags_need_a_field_that_the_distribution_looks_at() {
        assert!(can(None).tag.is_none() && can(None).tags.is_none());
        let tags = can(Some("x-tags")).tags.unwrap();
        assert_eq!(tags.header.name(), "x-tags");
        assert_eq!((tags.limits.tags, tags.limits.tag_bytes), (50, 256));
    }

    #[test]
    fn a_tag_with_an_asterisk_is_none_of_cloudfronts() {
        let can = can(Some("x-tags"));
        let takes = |text: &str| can.takes(&Target::Tag(text.parse().unwrap()));
        for text in ["*", "post:*", "a*b"] {
            assert!(!takes(text), "{text}");
        }
        let punctuation = "!$%&'()+-./:;<=>?@[\\]^_`{|}~a#1";
        for text in ["post:%2a", punctuation, &"x".repeat(Tag::MAX_LEN)] {
            assert!(takes(text), "{text}");
        }
    }

    #[test]
    fn no_call_has_more_wildcards_than_may_be_in_progress() {
        let prefixes = (0..8)
            .map(|n| Target::Prefix(PageUrl::parse(&format!("https://a.example/{n}")).unwrap()));
        let tags = (0..3_000).map(|n| Target::Tag(tag("t", n)));
        let can = can(Some("x-tags"));
        let sizes = |targets: &mut dyn Iterator<Item = Target>| -> Vec<usize> {
            calls(targets, &can).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&mut prefixes.clone()), [7, 1]);
        assert_eq!(sizes(&mut tags.clone()), [3_000]);
        assert_eq!(sizes(&mut prefixes.chain(tags))[0], 7);
    }
}
