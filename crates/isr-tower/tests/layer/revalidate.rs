//! Asking for revalidations from handlers.

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use isr_core::{JobStore as _, Mode, ReceiptFilter, RevalidateOptions, Source, Tag, Target, tag};
use isr_tower::{Revalidate, RevalidateError};

use crate::world::{Server, World};

async fn edit(Path(id): Path<u32>, revalidate: Revalidate) -> Result<String, RevalidateError> {
    let tags: Vec<Tag> = if id == 0 {
        Vec::new()
    } else {
        vec![tag("post", id)]
    };
    let receipt = revalidate.tags(tags).await?;
    Ok(receipt.id.to_string())
}

fn routes() -> Router {
    Router::new().route("/posts/{id}", post(edit))
}

#[tokio::test]
async fn a_handler_that_changes_data_gets_a_receipt() {
    let mut world = World::new().await;
    let options = RevalidateOptions {
        mode: Mode::Hard.into(),
        ..RevalidateOptions::default()
    };
    world.parts.options.revalidate = options.clone();
    let server = Server::start(routes().layer(world.layer())).await;
    let answer = server.ask("POST", "/posts/42", &[]).await;
    assert_eq!(answer.status, 200);
    let receipt = world
        .store
        .receipt(&answer.body.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(receipt.targets.as_slice(), [Target::Tag(tag("post", 42))]);
    assert_eq!(receipt.options, options, "those of the layer");
    assert_eq!(receipt.source, Source::Library);
    assert!(receipt.position.is_some());
}

#[tokio::test]
async fn revalidating_nothing_is_refused_and_revalidates_nothing() {
    let world = World::new().await;
    let server = Server::start(routes().layer(world.layer())).await;
    let answer = server.ask("POST", "/posts/0", &[]).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (500, "the revalidation was refused")
    );
    assert!(
        world
            .store
            .receipts(&ReceiptFilter::default(), None, 1)
            .await
            .unwrap()
            .receipts
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let mut world = World::new().await;
    world.parts.revalidator = None;
    let rows = [
        (routes().layer(world.layer()), "revalidator"),
        (routes(), "IsrLayer"),
    ];
    for (router, missing) in rows {
        let answer = Server::start(router)
            .await
            .ask("POST", "/posts/42", &[])
            .await;
        assert_eq!(answer.status, 500);
        assert!(answer.body.contains(missing), "{answer:?}");
    }
}
