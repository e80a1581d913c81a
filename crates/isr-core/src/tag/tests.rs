use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[test]
fn the_grammar_holds_row_by_row() {
    let longest = "x".repeat(Tag::MAX_LEN);
    let rows: &[(&str, Result<&str, TagFault>)] = &[
        ("post:42", Ok("post:42")),
        ("Post:42", Ok("post:42")),
        ("a", Ok("a")),
        ("a#b", Ok("a#b")),
        (r"back\slash", Ok(r"back\slash")),
        (
            "!$%&'()*+-./;<=>?@[]^_`{|}~",
            Ok("!$%&'()*+-./;<=>?@[]^_`{|}~"),
        ),
        (&longest, Ok(&longest)),
        ("", Err(TagFault::Empty)),
        (
            " ",
            Err(TagFault::Byte {
                byte: b' ',
                position: 0,
            }),
        ),
        (
            "a b",
            Err(TagFault::Byte {
                byte: b' ',
                position: 1,
            }),
        ),
        (
            "a,b",
            Err(TagFault::Byte {
                byte: b',',
                position: 1,
            }),
        ),
        (
            "a\"",
            Err(TagFault::Byte {
                byte: b'"',
                position: 1,
            }),
        ),
        (
            "a\u{7f}",
            Err(TagFault::Byte {
                byte: 0x7f,
                position: 1,
            }),
        ),
        (
            "caf\u{e9}",
            Err(TagFault::Byte {
                byte: 0xc3,
                position: 3,
            }),
        ),
        ("#a", Err(TagFault::LeadingHash)),
    ];
    for (input, expected) in rows {
        let found = Tag::new(input);
        let found = found.as_ref().map(Tag::as_str).map_err(InvalidTag::fault);
        assert_eq!(found, *expected, "for {input:?}");
    }
    let too_long = "x".repeat(Tag::MAX_LEN + 1);
    assert_eq!(
        Tag::new(&too_long).unwrap_err().fault(),
        TagFault::TooLong { len: 257 }
    );
}

#[test]
fn tags_that_differ_in_case_are_one_tag() {
    let tags: HashSet<Tag> = ["Post:1", "post:1", "POST:1"]
        .map(|t| t.parse().unwrap())
        .into();
    assert_eq!(tags.len(), 1);
    assert!(tags.contains("post:1"));
}

#[test]
fn the_builder_encodes_what_a_tag_cannot_hold() {
    let rows: &[(&str, &str, &str)] = &[
        ("post", "42", "post:42"),
        ("post", "", "post:"),
        ("", "42", ":42"),
        ("post", "a:b", "post:a:b"),
        ("post:a", "b", "post%3aa:b"),
        ("#post", "#1", "%23post:#1"),
        ("post", "100%", "post:100%25"),
        ("post", "a,b \"c\"", "post:a%2cb%20%22c%22"),
        ("Caf\u{e9}", "\u{df}", "caf%c3%a9:%c3%9f"),
    ];
    for (namespace, id, expected) in rows {
        let built = tag(namespace, id);
        assert_eq!(built.as_str(), *expected);
        assert_eq!(Tag::new(built.as_str()), Ok(built));
    }
}

#[test]
fn long_identifiers_are_cut_without_becoming_one() {
    let (one, two) = (
        format!("{}1", "x".repeat(400)),
        format!("{}2", "x".repeat(400)),
    );
    assert_eq!(tag("post", &one).as_str().len(), Tag::MAX_LEN);
    assert_eq!(tag("post", &one), tag("post", &one));
    assert_ne!(tag("post", &one), tag("post", &two));
    assert!(Tag::new(tag("post", &one).as_str()).is_ok());
}

#[test]
fn a_build_has_a_tag_of_its_own() {
    assert_eq!(build_tag("2026-11-22.3").as_str(), "build:2026-11-22.3");
}

#[test]
fn a_refusal_names_the_input_and_the_remedy() {
    let message = Tag::new("a\nb").unwrap_err().to_string();
    assert!(
        message.starts_with("tag `a\\nb` has the byte 0x0a at position 1: use"),
        "{message}"
    );
}

#[test]
fn reading_a_tag_back_checks_it() {
    assert_eq!(
        serde_json::from_str::<Tag>("\"Post:1\"").unwrap(),
        tag("post", 1)
    );
    assert_eq!(
        serde_json::to_string(&tag("post", 1)).unwrap(),
        "\"post:1\""
    );
    assert!(serde_json::from_str::<Tag>("\"a b\"").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_panics_and_accepted_ones_are_canonical(text in ".{0,40}") {
        if let Ok(accepted) = Tag::new(&text) {
            prop_assert_eq!(Tag::new(accepted.as_str()), Ok(accepted.clone()));
            prop_assert_eq!(accepted.to_string().parse(), Ok(accepted));
        }
    }

    #[test]
    fn the_builder_always_builds_a_tag(namespace in ".{0,80}", id in ".{0,80}") {
        let built = tag(&namespace, &id);
        prop_assert_eq!(Tag::new(built.as_str()), Ok(built));
    }

    #[test]
    fn different_pairs_make_different_tags(
        one in ("[a-b:%#, é]{0,4}", "[a-b:%#, é]{0,4}"),
        two in ("[a-b:%#, é]{0,4}", "[a-b:%#, é]{0,4}"),
    ) {
        prop_assert_eq!(tag(&one.0, &one.1) == tag(&two.0, &two.1), one == two);
    }
}
