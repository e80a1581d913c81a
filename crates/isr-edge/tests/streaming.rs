//! A gibibyte passes through the cache and is never held. Alone in its process, so that nothing else
//! takes memory meanwhile. Memory is read from `/proc`, which only Linux has.

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
    use bytes::Bytes;
    use http_body_util::BodyExt;

    use crate::process::{MEBIBYTE, peak};
    use crate::support::origin::{Script, ScriptedOrigin, Step};
    use crate::support::{Setup, Site};

    const PIECES: usize = 1024;
    const ALLOWED: usize = 64 * MEBIBYTE;

    /// Drains a page and says how many bytes it had.
    async fn drain(site: &Site, target: &str) -> usize {
        let mut body = site.ask(target).open().await.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame.unwrap().into_data().unwrap().len();
        }
        length
    }

    fn announced(mebibytes: usize) -> Script {
        let length = mebibytes * MEBIBYTE;
        let head = format!(
            "HTTP/1.1 200 X\r\ncache-control: s-maxage=60\r\ncontent-length: {length}\r\n\r\n"
        );
        Script::raw(head).then(Step::Repeat(vec![b'x'; MEBIBYTE].into(), mebibytes))
    }

    fn chunked(mebibytes: usize) -> Script {
        let head =
            "HTTP/1.1 200 X\r\ncache-control: s-maxage=60\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut chunk = format!("{MEBIBYTE:x}\r\n").into_bytes();
        chunk.resize(chunk.len() + MEBIBYTE, b'x');
        chunk.extend_from_slice(b"\r\n");
        Script::raw(head)
            .then(Step::Repeat(Bytes::from(chunk), mebibytes))
            .then(Step::Send("0\r\n\r\n".into()))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_gibibyte_passes_through_and_is_never_held() {
        let origin = ScriptedOrigin::start(|seen| match seen.target.as_str() {
            "/announced" => announced(PIECES),
            "/chunked" => chunked(PIECES),
            _ => chunked(1),
        });
        let site = Setup::new().start(origin.await).await;
        // What the first request takes for good is not what is measured.
        drain(&site, "/small").await;
        for target in ["/announced", "/chunked"] {
            let before = peak();
            assert_eq!(drain(&site, target).await, PIECES * MEBIBYTE, "{target}");
            let grown = peak() - before;
            assert!(grown <= ALLOWED, "{target}: {} MiB more", grown / MEBIBYTE);
        }
        let stored = format!("{:?}", site.edge);
        assert!(stored.contains("pages: 1"), "only the small page: {stored}");
    }
}
