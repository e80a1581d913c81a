//! What every connector must do, with a relay before the real Varnish that keeps what passes.

use std::sync::Arc;

use async_trait::async_trait;
use isr_core::{CdnConnector, Target};
use isr_testkit::fakes::{Exchange, Fault, Front};
use isr_testkit::{
    Call, ConnectorFixture, CountingOrigin, VarnishServer, connector_behaviour,
    connector_behaviour_in_a_worker,
};

use crate::site::{VCL, connect};

const SECRET: &str = "correct-horse-battery-staple";

#[derive(Debug)]
struct Fixture {
    front: Front,
    connector: Arc<dyn CdnConnector>,
    _varnish: VarnishServer,
    _origin: CountingOrigin,
}

async fn fixture() -> Fixture {
    let origin = CountingOrigin::start().await;
    // As the VCL itself says to use a secret.
    let vcl = format!(
        "sub vcl_recv {{ if (req.method ~ \"^(PURGE|PURGEKEYS|BAN)$\" && \
         req.http.x-purge-secret != \"{SECRET}\") {{ \
         return (synth(403, \"The purge secret does not match\")); }} }}\n{VCL}"
    );
    let varnish = VarnishServer::start(origin.address(), &["127.0.0.1"], &vcl).await;
    let front = Front::before(&varnish.address().to_string(), |status| {
        format!("<html><title>{status} Nothing done</title></html>")
    })
    .await;
    let options = format!("machines = ['{}']\nsecret = '{SECRET}'", front.uri());
    let connector = Arc::clone(&connect(&options)[0]);
    Fixture {
        front,
        connector,
        _varnish: varnish,
        _origin: origin,
    }
}

#[async_trait]
impl ConnectorFixture for Fixture {
    fn connector(&self) -> Arc<dyn CdnConnector> {
        Arc::clone(&self.connector)
    }

    async fn calls(&self) -> Vec<Call> {
        let exchanges = self.front.exchanges();
        exchanges.iter().filter_map(call).collect()
    }

    fn on_the_wire(&self, target: &Target) -> Vec<String> {
        vec![match target {
            Target::Url(page) => format!("PURGE {}{}", page.host(), page.path_and_query()),
            Target::Tag(tag) => format!("KEY {tag}"),
            Target::Prefix(page) => format!("BAN {} {}", page.host(), pattern(page.path())),
            Target::Host(host) => format!("BAN {host}"),
            _ => "BAN everything yes".to_owned(),
        }]
    }

    fn requests_for(&self, targets: &[Target]) -> usize {
        let is_tag = |target: &&Target| matches!(target, Target::Tag(_));
        let tags = targets.iter().filter(is_tag).count();
        targets.len() - tags + tags.min(1)
    }

    async fn next(&self, fault: Fault) {
        self.front.next(fault);
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }
}

/// A request as the VCL reads it; `None` for a look.
fn call(exchange: &Exchange) -> Option<Call> {
    let field = |name: &str| {
        let value = exchange.headers.get(name)?;
        Some(value.to_str().expect("it is ASCII").to_owned())
    };
    let is_look = exchange
        .headers
        .values()
        .any(|value| value.to_str().is_ok_and(|it| it.contains("edge-isr-check")));
    if is_look {
        return None;
    }
    let items = match exchange.method.as_str() {
        "PURGE" => vec![format!("PURGE {}{}", field("host")?, exchange.target)],
        "PURGEKEYS" => {
            let keys = field("xkey-purge").or(field("xkey-softpurge"))?;
            keys.split(' ').map(|key| format!("KEY {key}")).collect()
        }
        _ => {
            let all = field("x-ban-everything").map(|yes| format!("everything {yes}"));
            let words = [all, field("x-ban-host"), field("x-ban-url")];
            let words: Vec<String> = words.into_iter().flatten().collect();
            vec![format!("BAN {}", words.join(" "))]
        }
    };
    Some(Call {
        items,
        soft: field("x-purge-mode").is_some() || field("xkey-softpurge").is_some(),
        carried_out: exchange
            .answer
            .as_ref()
            .is_some_and(|(status, _)| status.is_success()),
    })
}

/// The pattern of a prefix, put together as its documentation has it.
fn pattern(path: &str) -> String {
    let escaped = path.chars().map(|c| match c {
        '/' | 'a'..='z' | 'A'..='Z' | '0'..='9' => c.to_string(),
        other => format!("\\{other}"),
    });
    let end = if path.ends_with('/') {
        ""
    } else {
        "(?:[/?]|$)"
    };
    format!("^{}{end}", escaped.collect::<String>())
}

connector_behaviour!(fixture());
connector_behaviour_in_a_worker!(fixture());
