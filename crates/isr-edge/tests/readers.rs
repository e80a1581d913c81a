//! Visitors who read nothing of what they asked for do not fill the memory. Alone in its process, so
//! that nothing else takes memory meanwhile. Memory is read from `/proc`, which only Linux has.

#![cfg(target_os = "linux")]

// Within `cfg(test)`, helpers may unwrap as tests do.
#[cfg(test)]
#[path = "support/process.rs"]
mod process;
#[cfg(test)]
#[expect(dead_code, reason = "these tests need a part of it")]
#[path = "support/mod.rs"]
mod support;

#[cfg(test)]
mod memory {
    use http_body_util::BodyExt;
    use hyper::body::Incoming;

    use crate::process::{MEBIBYTE, peak};
    use crate::support::origin::{Script, ScriptedOrigin, Seen, Step};
    use crate::support::{Setup, Site};

    const VISITORS: usize = 60;
    const PAGE: usize = 7;
    const STORE: usize = 64;
    /// The store, a quarter of it for bodies on their way there, and what is in hand for each visitor.
    const ALLOWED: usize = (STORE + STORE / 4 + 160) * MEBIBYTE;

    fn announced() -> Script {
        let length = PAGE * MEBIBYTE;
        let head = format!("HTTP/1.1 200 X\r\ncontent-length: {length}\r\n\r\n");
        Script::raw(head).then(Step::Repeat(vec![b'x'; MEBIBYTE].into(), PAGE))
    }

    fn chunked() -> Script {
        let mut chunk = format!("{MEBIBYTE:x}\r\n").into_bytes();
        chunk.resize(chunk.len() + MEBIBYTE, b'x');
        chunk.extend_from_slice(b"\r\n");
        Script::raw("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
            .then(Step::Repeat(chunk.into(), PAGE))
            .then(Step::Send("0\r\n\r\n".into()))
    }

    async fn drain(mut body: Incoming) -> usize {
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame.unwrap().into_data().unwrap().len();
        }
        length
    }

    async fn visit(site: &Site, target: &str) -> Incoming {
        site.ask(target).open().await.into_body()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn visitors_who_read_nothing_do_not_fill_the_memory() {
        let answer = |seen: &Seen| match seen.target.as_str() {
            target if target.starts_with("/chunked") => chunked(),
            "/small" => Script::ok(&[], "small"),
            _ => announced(),
        };
        let setup = Setup::new().rule("/**", &[]);
        let setup = setup.with(|setup| setup.options.memory_bytes = (STORE * MEBIBYTE) as u64);
        let site = setup.start(ScriptedOrigin::start(answer).await).await;
        // What the first request takes for good is not what is measured.
        drain(visit(&site, "/small").await).await;
        let before = peak();
        for kind in ["announced", "chunked"] {
            let mut bodies = Vec::new();
            for number in 0..VISITORS {
                bodies.push(visit(&site, &format!("/{kind}/{number}")).await);
            }
            for body in bodies {
                assert_eq!(drain(body).await, PAGE * MEBIBYTE);
            }
            assert!(site.noted.count("CrowdedOut") > 0, "some found no room");
            let grown = peak() - before;
            assert!(grown <= ALLOWED, "{kind}: {} MiB more", grown / MEBIBYTE);
            // What found no room was not taken for a page that nobody else may have.
            for number in VISITORS - 3..VISITORS {
                let target = format!("/{kind}/{number}");
                drain(visit(&site, &target).await).await;
                let status = site.get(&target).await.cache_status();
                // A hit, unless the memory has gone to others since.
                let shared = ["hit", "collapsed", "stored"];
                assert!(shared.iter().any(|word| status.contains(word)), "{status}");
            }
        }
    }
}
