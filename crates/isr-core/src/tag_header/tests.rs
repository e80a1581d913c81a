use proptest::prelude::*;

use super::*;
use crate::tag;

fn headers(header: &TagHeader, lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(
            header.name(),
            HeaderValue::from_bytes(line.as_bytes()).unwrap(),
        );
    }
    headers
}

/// The tags read, joined by spaces, with how many were rejected and how many fields malformed.
fn read(header: &TagHeader, lines: &[&str]) -> (String, usize, usize) {
    let mut tags = TagSet::new();
    let report = header.parse(&headers(header, lines), &mut tags);
    assert_eq!(
        report.is_complete(),
        report.rejected + report.malformed == 0
    );
    let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    (tags.join(" "), report.rejected, report.malformed)
}

fn custom(separator: TagSeparator) -> TagHeader {
    TagHeader::Custom {
        name: HeaderName::from_static("x-tags"),
        separator,
    }
}

#[test]
fn each_header_is_read_by_its_own_grammar() {
    use TagHeader::*;
    let spaced = custom(TagSeparator::Space);
    let rows: &[(&TagHeader, &[&str], &str, usize)] = &[
        (&CacheTag, &["b, A", "c,,"], "a b c", 0),
        (&CacheTag, &["two words, ok"], "ok", 1),
        (&CacheTag, &["", " ", ",", " , "], "", 0),
        (&CacheTag, &["caf\u{e9}, #hash, \"quoted\""], "", 3),
        (&SurrogateKey, &["a b  c\td"], "a b c d", 0),
        (&SurrogateKey, &["a, b"], "a b", 0),
        (&XKey, &["a b,c"], "a b c", 0),
        (
            &EdgeCacheTag,
            &["post~3a42, a~b, c~7e"],
            "a~b c~ post:42",
            0,
        ),
        (&EdgeCacheTag, &["a~41b, x~20y, z~"], "a~41b x~20y z~", 0),
        (&CacheGroups, &["\"a\", \"B\";x=1", "\"c\""], "a b c", 0),
        (&CacheGroups, &["\"back\\\\slash\""], "back\\slash", 0),
        (&CacheGroups, &["token, \"a\", 1, (\"b\")"], "a", 3),
        (&CacheGroups, &["\"\""], "", 0),
        (&CacheGroups, &["\"a b\", \"a,b\""], "", 2),
        (&CacheGroups, &[""], "", 0),
        (&spaced, &["a b,c"], "a", 1),
        (&custom(TagSeparator::Comma), &["a b,c"], "c", 1),
    ];
    for (header, lines, tags, rejected) in rows {
        let expected = ((*tags).to_owned(), *rejected, 0);
        assert_eq!(read(header, lines), expected, "for {header:?} {lines:?}");
    }
}

#[test]
fn groups_that_are_no_list_are_reported() {
    for line in [
        "\"a\",",
        "\"a",
        "a b",
        "\"caf\u{e9}\"",
        "Cache-Groups: \"a\"",
    ] {
        assert_eq!(
            read(&TagHeader::CacheGroups, &[line]),
            (String::new(), 0, 1),
            "{line}"
        );
    }
}

#[test]
fn all_known_headers_are_read_together() {
    let mut all = HeaderMap::new();
    for (header, line) in TagHeader::KNOWN.iter().zip(["a", "b a", "c", "d", "\"e\""]) {
        all.extend(headers(header, &[line]));
    }
    let mut tags = TagSet::new();
    assert!(TagHeader::parse_known(&all, &mut tags).is_complete());
    assert_eq!(tags.len(), 5);
}

#[test]
fn tags_beyond_the_limit_are_counted_and_examples_bounded() {
    let header = TagHeader::CacheTag;
    let mut tags = TagSet::with_limit(2);
    let report = header.parse(&headers(&header, &["a,b,c,d,a"]), &mut tags);
    assert_eq!(
        (tags.len(), report.dropped, report.is_complete()),
        (2, 2, false)
    );
    let report = header.parse(&headers(&header, &[&"a b,".repeat(100)]), &mut tags);
    assert_eq!(
        (report.rejected, report.examples.len()),
        (100, TagHeaderReport::MOST_EXAMPLES)
    );
}

#[test]
fn tags_are_written_as_each_cdn_reads_them() {
    let tags = TagSet::try_from_iter([tag("post", 42), tag("a", "\\~")]).unwrap();
    let rows = [
        (TagHeader::CacheTag, "a:\\~,post:42"),
        (TagHeader::SurrogateKey, "a:\\~ post:42"),
        (TagHeader::EdgeCacheTag, "a~3a~5c~7e,post~3a42"),
        (TagHeader::XKey, "a:\\~ post:42"),
        (TagHeader::CacheGroups, "\"a:\\\\~\", \"post:42\""),
        (custom(TagSeparator::Comma), "a:\\~,post:42"),
        (custom(TagSeparator::CommaOrSpace), "a:\\~ post:42"),
    ];
    for (header, expected) in rows {
        let value = header.write(&tags, header.limits()).unwrap().unwrap();
        assert_eq!(value, expected, "{header:?}");
        assert_eq!(header.write(&TagSet::new(), header.limits()), Ok(None));
    }
}

#[test]
fn either_all_tags_fit_or_none_is_written() {
    let tags = TagSet::try_from_iter([tag("post", 1), tag("post", 2)]).unwrap();
    let fits = TagHeaderLimits {
        bytes: 13,
        tags: 2,
        tag_bytes: 6,
        forbidden: Forbidden::characters("*"),
    };
    let header = TagHeader::CacheTag;
    assert_eq!(header.write(&tags, fits).unwrap().unwrap(), "post:1,post:2");
    let name = header.name();
    let rows = [
        (
            TagHeaderLimits { bytes: 12, ..fits },
            TagsDoNotFit::TooLong {
                header: name.clone(),
                len: 13,
                limit: 12,
            },
        ),
        (
            TagHeaderLimits {
                forbidden: Forbidden::characters("*:"),
                ..fits
            },
            TagsDoNotFit::Forbidden {
                header: name.clone(),
                tag: tag("post", 1),
                character: ':',
            },
        ),
        (
            TagHeaderLimits { tags: 1, ..fits },
            TagsDoNotFit::TooMany {
                header: name.clone(),
                count: 2,
                limit: 1,
            },
        ),
        (
            TagHeaderLimits {
                tag_bytes: 5,
                ..fits
            },
            TagsDoNotFit::TagTooLong {
                header: name,
                tag: tag("post", 1),
                len: 6,
                limit: 5,
            },
        ),
    ];
    for (limits, expected) in rows {
        assert_eq!(header.write(&tags, limits), Err(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn writing_and_reading_are_inverse(ids in prop::collection::vec("[!-~]{0,12}", 0..6)) {
        let tags = TagSet::try_from_iter(ids.iter().map(|id| tag("t", id))).unwrap();
        let customs = [TagSeparator::Comma, TagSeparator::Space].map(custom);
        for header in TagHeader::KNOWN.iter().chain(&customs) {
            let mut found = TagSet::new();
            if let Some(value) = header.write(&tags, header.limits()).unwrap() {
                let headers = HeaderMap::from_iter([(header.name(), value)]);
                prop_assert!(header.parse(&headers, &mut found).is_complete());
            }
            prop_assert_eq!(&found, &tags, "{:?}", header);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            for header in TagHeader::KNOWN {
                let headers = HeaderMap::from_iter([(header.name(), value.clone())]);
                let _ = header.parse(&headers, &mut TagSet::new());
            }
        }
    }

    #[test]
    fn what_akamai_gets_is_a_token(id in "[!-~]{0,20}") {
        let tag = tag("t", id);
        let encoded = TagHeader::EdgeCacheTag.encode(&tag).into_owned();
        prop_assert!(HeaderName::from_bytes(encoded.as_bytes()).is_ok(), "{}", encoded);
    }
}
