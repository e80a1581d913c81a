//! What is logged while the store is away. Alone in its process, because what one thread logs can be
//! switched off by what another never listens to.

// Within `cfg(test)`, helpers may unwrap as tests do.
#[cfg(test)]
#[expect(dead_code, reason = "this test needs a part of it")]
#[path = "support/mod.rs"]
mod support;

#[cfg(test)]
mod log {
    use http::Method;

    use crate::support::Setup;
    use crate::support::log::Log;
    use crate::support::origin::{Script, ScriptedOrigin};

    #[tokio::test]
    async fn an_outage_is_logged_once_and_so_is_its_end() {
        let log = Log::default();
        let _listening = log.listen();
        let origin = ScriptedOrigin::start(|_| Script::ok(&[], "")).await;
        let site = Setup::new().rule("/**", &[]).start(origin).await;
        let purge = |target| site.request(Method::from_bytes(b"PURGE").unwrap(), target);
        let said = |what: &str| {
            log.text()
                .lines()
                .filter(|line| line.contains(what))
                .count()
        };
        for outage in 1..=2 {
            site.store.set_away(true);
            for page in 1..=3 {
                site.get(&format!("/{outage}/{page}")).await;
                site.request(Method::POST, "/").send().await;
                purge("/").send().await;
            }
            site.store.set_away(false);
            for page in 4..=6 {
                site.get(&format!("/{outage}/{page}")).await;
                site.request(Method::POST, "/").send().await;
                purge("/").send().await;
            }
            for what in ["binding pages to their tags", "accepting revalidations"] {
                assert_eq!(said(&format!("{what} fails")), outage, "{}", log.text());
                assert_eq!(
                    said(&format!("{what} works again")),
                    outage,
                    "{}",
                    log.text()
                );
            }
            assert_eq!(said("WARN"), 2 * outage, "{}", log.text());
        }
    }
}
