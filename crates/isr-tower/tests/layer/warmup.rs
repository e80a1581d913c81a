//! Warm-up requests, and generations that an edge hands on.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::HeaderMap;
use isr_core::{
    Clock as _, GENERATION_HEADER, Generation, Policy, Secret, WARMUP_HEADER, WarmupKey, tag,
};
use isr_tower::Page;

use crate::world::{Server, World, url};

/// A page that says whether it was warmed, whether the header is there, and its generation.
async fn about(page: Page, headers: HeaderMap) -> String {
    let generation = page.generation().map(|generation| generation.number);
    format!(
        "{} {} {generation:?}",
        page.is_warmup(),
        headers.contains_key(WARMUP_HEADER)
    )
}

async fn server(world: &World) -> Server {
    let layer = world.layer().page(Policy::default()).tag("posts");
    Server::start(
        Router::new()
            .route("/{page}", get(about))
            .route_layer(layer),
    )
    .await
}

fn signed(world: &World, secret: &str, path: &str, least: Option<Generation>) -> String {
    let key = WarmupKey::new(Secret::new(secret)).unwrap();
    let value = key.sign(
        &url(path),
        least,
        world.clock.time_of_day(),
        Duration::from_mins(1),
    );
    value.to_str().unwrap().to_owned()
}

const KEY: &str = "0123456789abcdef";
const WARMUP: &str = "x-edge-isr-warmup";

#[tokio::test]
async fn only_a_genuine_warm_up_counts_and_any_other_header_is_taken_out() {
    let mut world = World::new().await;
    let genuine = signed(&world, KEY, "/a", None);
    let by_another_key = signed(&world, "another key, as long", "/a", None);
    let server = server(&world).await;
    let rows = [
        ("/a", genuine.as_str(), "true true Some(0)"),
        ("/b", &genuine, "false false Some(0)"),
        ("/a", &by_another_key, "false false Some(0)"),
        ("/a", "1", "false false Some(0)"),
        ("/a", "", "false false Some(0)"),
    ];
    for (path, header, expected) in rows {
        assert_eq!(
            server.ask("GET", path, &[(WARMUP, header)]).await.body,
            expected,
            "{header}"
        );
    }
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(
        server.ask("GET", "/a", &[(WARMUP, &genuine)]).await.body,
        "false false Some(0)"
    );
    world.parts.warmup = None;
    let keyless = self::server(&world).await;
    let fresh = signed(&world, KEY, "/a", None);
    assert_eq!(
        keyless.ask("GET", "/a", &[(WARMUP, &fresh)]).await.body,
        "false false Some(0)"
    );
}

#[tokio::test]
async fn a_warm_up_waits_until_this_process_has_heard_of_its_revalidation() {
    let world = World::new().await;
    let position = world.revalidate(tag("post", 1)).await;
    let header = signed(&world, KEY, "/a", Some(position.generation_of(&url("/a"))));
    let server = server(&world).await;
    let look = Duration::from_millis(5);
    let fields = [(WARMUP, header.as_str())];
    let (answer, ()) = tokio::join!(server.ask("GET", "/a", &fields), async {
        world.clock.sleeper(look).await;
        world.hear().await;
        world.clock.advance(look);
    });
    assert_eq!(answer.body, "true true Some(1)");
}

#[tokio::test]
async fn a_warm_up_does_not_wait_for_ever() {
    let world = World::new().await;
    let position = world.revalidate(tag("post", 1)).await;
    let header = signed(&world, KEY, "/a", Some(position.generation_of(&url("/a"))));
    let server = server(&world).await;
    let fields = [(WARMUP, header.as_str())];
    let (answer, ()) = tokio::join!(server.ask("GET", "/a", &fields), async {
        world.clock.sleeper(Duration::from_millis(5)).await;
        world.clock.advance(world.parts.options.warmup_wait);
    });
    assert_eq!(answer.body, "true true Some(0)");
}

#[tokio::test]
async fn an_edge_s_generation_counts_when_it_is_trusted_and_older() {
    let mut world = World::new().await;
    for number in 0..3 {
        world.revalidate(tag("post", number)).await;
    }
    world.hear().await;
    let own = world.sender.generation(&url("/a")).unwrap();
    let foreign = Generation {
        epoch: isr_core::Epoch::new(!own.epoch.number()),
        number: 1,
    };
    let generation = |number| Generation { number, ..own }.to_string();
    let rows = [
        (true, generation(1), "Some(1)"),
        (true, generation(3), "Some(3)"),
        (true, generation(9), "Some(3)"),
        (true, foreign.to_string(), "Some(3)"),
        (true, "1".to_owned(), "Some(3)"),
        (false, generation(1), "Some(3)"),
    ];
    for (trusted, header, expected) in rows {
        world.parts.options.trust_edge = trusted;
        let server = server(&world).await;
        let answer = server
            .ask("GET", "/a", &[(GENERATION_HEADER.as_str(), &header)])
            .await;
        assert_eq!(answer.body, format!("false false {expected}"), "{header}");
    }
}
