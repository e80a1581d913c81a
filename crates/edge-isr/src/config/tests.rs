#![expect(
    clippy::result_large_err,
    reason = "figment's Jail wants this type of error"
)]

use std::path::Path;

use figment::Jail;

use super::*;

mod refused;

/// Loads a file of this text under these variables.
#[track_caller]
fn loaded(toml: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let mut result = None;
    Jail::expect_with(|jail| {
        jail.clear_env();
        jail.create_file(DEFAULT_FILE, toml)?;
        for (name, value) in variables {
            jail.set_env(name, value);
        }
        result = Some(load(None));
        Ok(())
    });
    result.unwrap()
}

/// Checks that a configuration has one fault, which says so.
#[track_caller]
fn refused(toml: &str, words: &str) {
    let faults = faults(toml, &[]);
    assert!(
        faults.len() == 1 && faults[0].contains(words),
        "{toml}: {faults:?}"
    );
}

#[track_caller]
fn faults(toml: &str, variables: &[(&str, &str)]) -> Vec<String> {
    loaded(toml, variables)
        .unwrap_err()
        .faults
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn with_no_file_and_no_variables_the_defaults_hold() {
    Jail::expect_with(|jail| {
        jail.clear_env();
        let loaded = load(None).unwrap();
        assert!(loaded.file.is_none());
        assert_eq!(
            loaded.config.site.hosts[0].as_str(),
            "http://127.0.0.1:8080"
        );
        assert_eq!(loaded.config.store.kind(), "sqlite");
        assert!(loaded.entries.iter().all(|entry| entry.source.is_none()));
        Ok(())
    });
}

#[test]
fn variables_go_before_the_file_and_the_file_before_the_defaults() {
    let toml = "[edge]\nmemory = \"64MiB\"\nmax_lag = \"1s\"\n";
    let loaded = loaded(
        toml,
        &[
            ("EDGE_ISR_EDGE__MEMORY", "32MiB"),
            ("EDGE_ISR_LOG", "debug"),
        ],
    )
    .unwrap();
    assert_eq!(loaded.config.edge.memory, 32 << 20);
    assert_eq!(loaded.config.edge.max_lag.as_millis(), 1000);
    assert_eq!(loaded.config.edge.largest_body, 8 << 20);
    let source = |key: &str| {
        loaded
            .entries
            .iter()
            .find(|entry| entry.key == key)
            .unwrap()
            .source
            .clone()
    };
    assert_eq!(
        source("edge.memory").as_deref(),
        Some("EDGE_ISR_EDGE__MEMORY")
    );
    assert!(source("edge.max_lag").is_some_and(|file| file.ends_with(DEFAULT_FILE)));
    assert_eq!(source("edge.largest_body"), None);
}

#[test]
fn a_file_may_be_json() {
    Jail::expect_with(|jail| {
        jail.clear_env();
        jail.create_file(
            "site.json",
            r#"{"site": {"origin": "http://127.0.0.1:3000"}, "warm": {"rate": 7}}"#,
        )?;
        let config = load(Some(Path::new("site.json"))).unwrap().config;
        assert_eq!(
            config.site.origin.unwrap().as_str(),
            "http://127.0.0.1:3000"
        );
        assert_eq!(config.warm.rate.get(), 7);
        Ok(())
    });
}

#[test]
fn numbers_booleans_and_lists_can_be_variables() {
    let variables = [
        ("EDGE_ISR_WARM__CONCURRENCY", "3"),
        ("EDGE_ISR_WORKER__ENABLED", "false"),
        (
            "EDGE_ISR_SITE__HOSTS",
            r#"["https://a.example", "https://b.example"]"#,
        ),
        ("EDGE_ISR_ADMIN__TOKEN", "0123456789012345"),
    ];
    let config = loaded("", &variables).unwrap().config;
    assert_eq!(
        (config.warm.concurrency.get(), config.worker.enabled),
        (3, false)
    );
    assert_eq!(config.site.hosts.len(), 2);
    assert_eq!(config.admin.token.unwrap().expose(), "0123456789012345");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one_and_its_file() {
    let faults = faults("[site]\norign = \"http://127.0.0.1:3000\"\n", &[]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("`site.orign` in "), "{faults:?}");
    assert!(
        faults[0].contains("edge-isr.toml is not a known key: did you mean `site.origin`?"),
        "{faults:?}"
    );
}

#[test]
fn an_unknown_variable_is_refused_by_its_name() {
    let faults = faults("", &[("EDGE_ISR_SITE_ORIGIN", "http://127.0.0.1:3000")]);
    let expected =
        "`site_origin` in EDGE_ISR_SITE_ORIGIN is not a known key: did you mean `site.origin`?";
    assert_eq!(faults, [expected]);
}

#[test]
fn several_faults_are_reported_together_each_with_its_key_and_source() {
    let toml = "[edge]\nmemory = \"lots\"\nmax_lag = \"1h\"\n[warm]\nrate = 0\nrat = 1\n[[rule]]\npath = \"/\"\ntag = []\n[store]\nkind = \"sqlit\"\n";
    let faults = faults(toml, &[("EDGE_ISR_LISTEN__EDGE", "8080")]);
    let about = |key: &str, words: &str| {
        faults
            .iter()
            .any(|fault| fault.starts_with(&format!("`{key}` in ")) && fault.contains(words))
    };
    assert!(
        about("edge.memory", "is `lots`: expected a size"),
        "{faults:#?}"
    );
    assert!(
        about("edge.max_lag", "is 1h: use 50ms to 1m"),
        "{faults:#?}"
    );
    assert!(about("warm.rate", "is 0: use 1 to 10000"), "{faults:#?}");
    assert!(
        about("warm.rat", "did you mean `warm.rate`?"),
        "{faults:#?}"
    );
    assert!(
        about("rule.0.tag", "did you mean `rule.tags`?"),
        "{faults:#?}"
    );
    assert!(
        about("store.kind", "expected one of memory, sqlite, redis"),
        "{faults:#?}"
    );
    assert!(
        about(
            "listen.edge",
            "EDGE_ISR_LISTEN__EDGE is `8080`: expected an IP address"
        ),
        "{faults:#?}"
    );
    assert_eq!(faults.len(), 7, "{faults:#?}");
}

#[test]
fn a_text_that_is_no_toml_is_refused_with_its_place() {
    let faults = faults("[site\n", &[]);
    assert!(
        faults[0].contains("edge-isr.toml cannot be read: "),
        "{faults:?}"
    );
    assert!(faults[0].contains("line 1"), "{faults:?}");
}

#[test]
fn a_named_file_that_is_not_there_is_refused() {
    Jail::expect_with(|jail| {
        jail.clear_env();
        let error = load(Some(Path::new("missing.toml"))).unwrap_err();
        assert!(
            error.to_string().contains("missing.toml cannot be read"),
            "{error}"
        );
        Ok(())
    });
}

#[test]
fn secrets_are_read_from_files_and_never_shown() {
    Jail::expect_with(|jail| {
        jail.clear_env();
        jail.create_file("token", "a token from a file\n".replace(' ', "-").as_str())?;
        jail.create_file(
            DEFAULT_FILE,
            "[admin]\ntoken_file = \"token\"\n[warm]\nkey = \"0123456789abcdef-hidden\"\n",
        )?;
        let loaded = load(None).unwrap();
        assert_eq!(
            loaded.config.admin.token.as_ref().unwrap().expose(),
            "a-token-from-a-file"
        );
        let shown = format!("{loaded:?}");
        assert!(
            !shown.contains("a-token-from-a-file") && !shown.contains("hidden"),
            "{shown}"
        );
        let key = loaded
            .entries
            .iter()
            .find(|entry| entry.key == "warm.key")
            .unwrap();
        assert_eq!(key.value, "***");
        Ok(())
    });
}

#[test]
fn a_secret_given_twice_or_in_no_readable_file_is_refused() {
    let twice = faults(
        "[admin]\ntoken = \"0123456789abcdef\"\ntoken_file = \"x\"\n",
        &[],
    );
    assert!(twice[0].starts_with("`admin.token_file` in "), "{twice:?}");
    assert!(
        twice[0].contains("cannot be given beside `admin.token`"),
        "{twice:?}"
    );
    let missing = faults("[warm]\nkey_file = \"nowhere\"\n", &[]);
    assert!(
        missing[0].contains("names nowhere, which cannot be read"),
        "{missing:?}"
    );
}

#[test]
fn an_admin_api_that_others_can_reach_needs_a_token() {
    let open = faults("[listen]\nadmin = \"0.0.0.0:8081\"\n", &[]);
    assert!(
        open[0].contains("`admin.token`") && open[0].contains("0.0.0.0:8081"),
        "{open:?}"
    );
    let closed = "[listen]\nadmin = \"0.0.0.0:8081\"\n[admin]\ntoken = \"0123456789abcdef\"\n";
    assert!(loaded(closed, &[]).is_ok());
}

#[test]
fn values_that_make_no_sense_together_are_refused() {
    let rows = [
        ("[store]\nkind = \"redis\"\n", "`store.url` is missing"),
        (
            "[store]\nurl = \"redis://127.0.0.1\"\n",
            "is only for store.kind = \"redis\"",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"http://127.0.0.1\"\n",
            "does not begin with redis://",
        ),
        (
            "[store]\nkind = \"redis\"\nurl = \"redis://user:secret@bad host:99999/x\"\n",
            "cannot be used: the URL of the Redis server is malformed",
        ),
        (
            "[edge]\nmemory = \"1MiB\"\n",
            "is larger than `edge.memory`",
        ),
        (
            "[listen]\nadmin = \"127.0.0.1:8080\"\n",
            "is the address of `listen.edge` too",
        ),
        (
            "[urls]\nquery_allow = [\"a\"]\nquery_deny = [\"b\"]\n",
            "cannot be given beside",
        ),
        (
            "[urls]\nquery_allow = [\"a=b\"]\n",
            "query parameter `a=b` cannot be matched",
        ),
        (
            "[revalidate]\nsoft_above = 5\n",
            "changes nothing, since `revalidate.mode` is \"soft\"",
        ),
        ("[site]\norigin = \"127.0.0.1:3000\"\n", "is not absolute"),
        ("[site]\nname = \"My Site\"\n", "has to be 1 to 64"),
        ("[admin]\ntoken = \"short\"\n", "fewer than 16 bytes"),
        ("[warm]\nkey = \"short\"\n", "fewer than 16 bytes"),
        ("[[rule]]\npath = \"blog\"\n", "begin it with / or *"),
        (
            "[[rule]]\npath = \"/blog/*\"\ntags = [\"post:{2}\"]\n",
            "name one it has",
        ),
        (
            "[[rule]]\npath = \"/\"\ns_maxage = \"500ms\"\n",
            "not a whole number of seconds",
        ),
        (
            "[[rule]]\npath = \"/\"\nignore_cookies = [\"a\"]\n",
            "means nothing in a rule without lifetimes",
        ),
        (
            "[[rule]]\npath = \"/\"\nvary = [\"a b\"]\n",
            "is no header field",
        ),
    ];
    for (toml, words) in rows {
        refused(toml, words);
    }
}

#[test]
fn rules_keep_their_order_and_only_lifetimes_opt_pages_in() {
    let toml = "[[rule]]\npath = \"/blog/*\"\ntags = [\"post:{1}\"]\n[[rule]]\npath = \"/**\"\ns_maxage = \"1h\"\nstale_if_error = 60\n";
    let rules = loaded(toml, &[]).unwrap().config.rules;
    assert_eq!(
        (rules[0].path.as_str(), rules[0].policy.is_none()),
        ("/blog/*", true)
    );
    let policy = rules[1].policy.as_ref().unwrap();
    assert_eq!(
        (
            policy.s_maxage().as_secs(),
            policy.stale_if_error().as_secs()
        ),
        (3600, 60)
    );
}

#[test]
fn certificates_are_read_from_their_file_or_refused() {
    Jail::expect_with(|jail| {
        jail.clear_env();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        jail.create_file("ca.pem", &pem)?;
        jail.create_file("key.pem", &key.serialize_pem())?;
        jail.create_file(DEFAULT_FILE, "[edge]\norigin_ca_file = \"ca.pem\"\n")?;
        let edge = load(None).unwrap().config.edge;
        assert_eq!(edge.origin.extra_roots.len(), 1);
        for file in ["key.pem", "missing.pem", DEFAULT_FILE] {
            jail.set_env("EDGE_ISR_EDGE__ORIGIN_CA_FILE", file);
            let faults = load(None).unwrap_err().faults;
            assert_eq!(faults[0].key, "edge.origin_ca_file");
            assert!(
                faults[0]
                    .message
                    .starts_with(&format!("names {file}, which cannot be used: ")),
                "{faults:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn networks_may_be_single_addresses() {
    let toml = "[edge]\npurge_from = [\"10.0.0.0/8\", \"2001:db8::1\"]\n";
    let networks = loaded(toml, &[]).unwrap().config.edge.purge_from;
    let texts: Vec<String> = networks.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.0.0.0/8", "2001:db8::1/128"]);
}
