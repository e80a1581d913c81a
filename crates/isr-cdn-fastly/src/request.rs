//! From a batch to a call.

use isr_core::{Mode, PageUrl, PurgeBatch, Tag, Target};

use crate::options::Settings;

/// One call that purges.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Where it goes.
    pub(crate) url: String,
    /// Whether copies become stale instead of going.
    pub(crate) soft: bool,
    /// What it asks for.
    pub(crate) asks_for: AsksFor,
}

/// What a call asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AsksFor {
    /// Whatever is labelled with one of the keys.
    Keys(Vec<String>),
    /// One URL, which is in the call's own.
    Url,
    /// All that the service keeps.
    Everything,
}

impl Request {
    /// The call that a batch is. An error says why it is none: it is outside the connector's
    /// capabilities.
    ///
    /// A call that asks for everything is made for [`Target::Everything`] alone, and for nothing else.
    pub(crate) fn of(batch: &PurgeBatch, settings: &Settings) -> Result<Self, String> {
        let Settings {
            api_base, service, ..
        } = settings;
        let (url, asks_for) = match batch.targets() {
            [Target::Everything] => (
                format!("{api_base}/service/{service}/purge_all"),
                AsksFor::Everything,
            ),
            [Target::Url(page)] => (of_a_page(api_base, page), AsksFor::Url),
            targets => (
                format!("{api_base}/service/{service}/purge"),
                AsksFor::Keys(keys(targets)?),
            ),
        };
        let may_be_soft = settings.soft && asks_for != AsksFor::Everything;
        Ok(Self {
            url,
            soft: may_be_soft && batch.mode == Mode::Soft,
            asks_for,
        })
    }
}

/// Host, path and query stand behind `/purge/` as they are: without a scheme, because Fastly's cache
/// knows none. <https://www.fastly.com/documentation/reference/api/purging/>, read 2026-11-22.
fn of_a_page(api_base: &str, page: &PageUrl) -> String {
    format!("{api_base}/purge/{}{}", page.host(), page.path_and_query())
}

fn keys(targets: &[Target]) -> Result<Vec<String>, String> {
    let key = |target: &Target| match target {
        Target::Tag(tag) => Ok(Tag::as_str(tag).to_owned()),
        Target::Url(_) | Target::Everything => Err(format!(
            "it purges one {} a call and nothing beside it",
            target.kind()
        )),
        other => Err(format!("it cannot purge by {}", other.kind())),
    };
    targets.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use isr_core::{Epoch, Position, tag};

    use super::*;
    use crate::options::Options;

    fn request(targets: Vec<Target>, mode: Mode, json: &str) -> Result<Request, String> {
        let options: Options = serde_json::from_str(json).unwrap();
        let position = Position::new(Epoch::new(1), [1]);
        let batch = PurgeBatch::new(targets, mode, position).unwrap();
        Request::of(&batch, &options.check().unwrap())
    }

    const PLAIN: &str = r#"{"service": "S1", "token": "T", "api_base": "http://api/"}"#;
    const SHIELDED: &str = r#"{"service": "S1", "token": "T", "shielding": true}"#;

    fn page(url: &str) -> Target {
        Target::Url(PageUrl::parse(url).unwrap())
    }

    #[test]
    fn a_url_is_host_path_and_query() {
        for (url, expected) in [
            ("https://a.example", "http://api/purge/a.example/"),
            (
                "http://a.example/?b=2&a=1",
                "http://api/purge/a.example/?a=1&b=2",
            ),
            (
                "https://a.example:8443//x/%2F",
                "http://api/purge/a.example:8443//x/%2F",
            ),
        ] {
            let request = request(vec![page(url)], Mode::Hard, PLAIN).unwrap();
            assert_eq!(
                (request.url.as_str(), request.asks_for),
                (expected, AsksFor::Url)
            );
        }
    }

    #[test]
    fn soft_is_what_was_asked_for_and_fastly_knows() {
        let key = || vec![Target::Tag(tag("post", 1))];
        let soft = |targets, mode, json| request(targets, mode, json).unwrap().soft;
        assert!(soft(key(), Mode::Soft, PLAIN));
        assert!(soft(vec![page("https://a.example/")], Mode::Soft, PLAIN));
        assert!(!soft(key(), Mode::Hard, PLAIN));
        assert!(!soft(key(), Mode::Soft, SHIELDED));
        assert!(!soft(vec![Target::Everything], Mode::Soft, PLAIN));
    }

    #[test]
    fn nothing_but_everything_asks_for_everything() {
        let everything = request(vec![Target::Everything], Mode::Hard, PLAIN).unwrap();
        assert_eq!(everything.url, "http://api/service/S1/purge_all");
        let key = || Target::Tag(tag("post", 1));
        let keys = request(vec![key()], Mode::Hard, PLAIN).unwrap();
        assert_eq!(keys.url, "http://api/service/S1/purge");
        let prefix = PageUrl::parse("https://a.example/").unwrap();
        for outside in [
            vec![Target::Everything, key()],
            vec![key(), page("https://a.example/")],
            vec![page("https://a.example/1"), page("https://a.example/2")],
            vec![Target::Host("a.example".into())],
            vec![Target::Prefix(prefix)],
        ] {
            assert!(request(outside, Mode::Hard, PLAIN).is_err());
        }
    }
}
