//! Values out of range, words that are not known, and keys that mean nothing.

use super::{faults, refused};

#[test]
fn what_is_out_of_range_is_refused_with_the_range() {
    let redis = "kind = \"redis\"\nurl = \"redis://127.0.0.1\"\n";
    let rows = [
        ("listen", "connections", "0", "use 1 to 1000000"),
        ("listen", "head_timeout", "0", "use 10ms to 1h"),
        ("listen", "body_timeout", "0", "use 10ms to 1h"),
        ("listen", "send_timeout", "\"2h\"", "use 10ms to 1h"),
        (
            "listen",
            "largest_head",
            "\"4KiB\"",
            "is 4KiB: use 8KiB to 1MiB",
        ),
        ("listen", "grace", "\"2h\"", "use 0s to 1h"),
        ("store", "history", "0", "use 1 to 10000000"),
        ("store", "queue", "100000001", "use 1 to 100000000"),
        ("store", "max_bytes", "1", "is 1 bytes: use 1MiB to 1024GiB"),
        ("store", "cache", "\"1KiB\"", "use 1MiB to 64GiB"),
        ("store", "readers", "65", "use 1 to 64"),
        ("redis", "partitions", "1025", "use 1 to 1024"),
        ("redis", "connections", "1", "use 2 to 64"),
        ("redis", "connect_timeout", "\"2m\"", "use 10ms to 1m"),
        ("redis", "response_timeout", "0", "use 10ms to 1m"),
        ("edge", "variants_per_page", "0", "use 1 to 1000"),
        ("edge", "connect_timeout", "0", "use 10ms to 1m"),
        ("edge", "response_timeout", "0", "use 10ms to 1h"),
        ("edge", "idle_timeout", "0", "use 10ms to 1h"),
        ("edge", "bind_timeout", "\"2m\"", "use 10ms to 1m"),
        ("edge", "degraded_lifetime", "\"2h\"", "use 0s to 1h"),
        ("edge", "negative_lifetime", "\"500ms\"", "use 1s to 1day"),
        ("edge", "uncacheable_lifetime", "\"2h\"", "use 0s to 1h"),
        ("edge", "origin_keep_alive", "\"2h\"", "use 0s to 1h"),
        ("edge", "origin_connections", "100001", "use 0 to 100000"),
        (
            "edge",
            "origin_largest_head",
            "\"2MiB\"",
            "use 8KiB to 1MiB",
        ),
        ("edge", "origin_most_fields", "15", "use 16 to 4096"),
        ("edge", "origin_concurrency", "0", "use 1 to 65536"),
        ("admin", "connections", "0", "use 1 to 100000"),
        (
            "layer",
            "largest_hashed_body",
            "\"2GiB\"",
            "use 0 bytes to 1GiB",
        ),
        ("layer", "warmup_wait", "\"2m\"", "use 0s to 1m"),
        ("worker", "poll", "0", "use 10ms to 1m"),
        ("worker", "backoff", "\"2h\"", "use 10ms to 1h"),
        ("worker", "longest_backoff", "0", "use 10ms to 1day"),
        ("warm", "burst", "1001", "use 1 to 1000"),
        ("warm", "connect_timeout", "0", "use 10ms to 1m"),
        ("revalidate", "hold_above", "1000001", "use 0 to 1000000"),
        ("warm", "backoff", "0", "use 1ms to 1m"),
        ("warm", "longest_backoff", "\"11m\"", "use 1ms to 10m"),
        ("warm", "longest_retry_after", "\"2h\"", "use 0s to 1h"),
        ("warm", "largest_body", "0", "use 1KiB to 1024GiB"),
    ];
    for (section, key, value, words) in rows {
        let (section, before) = match section {
            "redis" => ("store", redis),
            section => (section, ""),
        };
        let toml = format!("[{section}]\n{before}{key} = {value}\n");
        let faults = faults(&toml, &[]);
        assert!(
            faults.len() == 1
                && faults[0].starts_with(&format!("`{section}.{key}` "))
                && faults[0].ends_with(words),
            "{toml}: {faults:?}"
        );
    }
}

#[test]
fn words_that_are_not_known_are_refused_with_those_that_are() {
    let rows = [
        (
            "[store]\ndurability = \"disk\"\n",
            "expected one of process, machine",
        ),
        (
            "[edge]\nunknown_host = \"404\"\n",
            "expected one of misdirected, not_found",
        ),
        ("[edge]\ndialects = [\"fastly\"]\n", "surrogate_control"),
        ("[layer]\ndialects = [\"fastly\"]\n", "surrogate_control"),
        (
            "[layer]\ntag_headers = [\"cache-tags\"]\n",
            "names `cache-tags`: use some of cache-tag, surrogate-key,",
        ),
        (
            "[layer]\ntag_headers = [\"xkey\", \"XKey\"]\n",
            "names XKey twice",
        ),
        (
            "[layer]\nignore_cookies = [\"a=b\"]\n",
            "cookie `a=b` cannot be matched",
        ),
        (
            "[edge]\npurge_from = [\"10.0.0.0/33\"]\n",
            "no IP address and no network",
        ),
        (
            "[edge]\ntrusted_proxies = [\"proxy\"]\n",
            "no IP address and no network",
        ),
        (
            "[warm]\naccept_encoding = \"gzip\\n\"\n",
            "is no header field",
        ),
        ("[site]\nbuild = \"\"\n", "is empty"),
    ];
    for (toml, words) in rows {
        refused(toml, words);
    }
}

#[test]
fn keys_of_another_store_than_the_chosen_one_are_refused() {
    for (toml, words) in [
        ("connections = 8\n", "is only for store.kind = \"redis\""),
        (
            "kind = \"memory\"\ndurability = \"machine\"\n",
            "is only for a store that outlives its process",
        ),
        ("cluster = true\n", "is only for store.kind = \"redis\""),
        (
            "trust_restarts = true\n",
            "is only for store.kind = \"redis\"",
        ),
        ("durability = \"replicated\"\n", "a file has no replicas"),
        (
            "kind = \"redis\"\nurl = \"redis://127.0.0.1\"\ndurability = \"machine\"\n",
            "appendfsync always",
        ),
        (
            "kind = \"redis\"\nurl = \"redis://127.0.0.1\"\nreplicas = 2\n",
            "is only for store.durability = \"replicated\"",
        ),
        (
            "kind = \"redis\"\nurl = \"redis://127.0.0.1\"\ndurability = \"replicated\"\nreplicas = 17\n",
            "use 1 to 16",
        ),
        (
            "kind = \"redis\"\nurl = \"redis://127.0.0.1:1,redis://127.0.0.1:2\"\n",
            "store.cluster = true",
        ),
        (
            "kind = \"memory\"\nmax_bytes = \"1GiB\"\n",
            "is only for store.kind = \"sqlite\"",
        ),
    ] {
        refused(&format!("[store]\n{toml}"), words);
    }
}
