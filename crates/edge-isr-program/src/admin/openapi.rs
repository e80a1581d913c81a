//! The description of the API, generated from the code.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};

use super::{bind, dead_letters, health, lookup, page_history, receipts, revalidate, warm};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "edge-isr admin API",
        description = "Binds pages to tags, revalidates and warms them, and shows what happened. \
                       Errors are problem details (RFC 9457). A request is applied as a whole or not \
                       at all.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        bind::bind,
        bind::unbind,
        bind::generation,
        revalidate::revalidate,
        warm::warm,
        lookup::tag,
        lookup::url,
        lookup::graph,
        page_history::get,
        receipts::list,
        receipts::one,
        receipts::cancel,
        receipts::release,
        dead_letters::list,
        dead_letters::replay,
        health::alive,
        health::ready,
        health::metrics,
    ),
    tags(
        (name = "revalidations", description = "What changed, and what was done about it"),
        (name = "pages", description = "Single pages"),
        (name = "status", description = "What is known of pages and tags"),
        (name = "health", description = "How the program is"),
    ),
    security((), ("token" = [])),
)]
struct Api;

/// The description of the API.
pub(crate) fn document() -> Document {
    let mut document = Api::openapi();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
    );
    let problem = RefOr::T(any_problem());
    components.responses.insert("Problem".to_owned(), problem);
    let problem = RefOr::Ref(Ref::from_response_name("Problem"));
    for path in document.paths.paths.values_mut() {
        let operations = [&mut path.get, &mut path.post, &mut path.delete];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), problem.clone());
        }
    }
    document
}

/// What is answered to a request that cannot be carried out for a reason that any may have.
fn any_problem() -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description(
            "Something is wrong with the request (400, 404, 405, 413, 415, 422), no token or a wrong one \
             came with it (401), or the store failed (500, 503)",
        )
        .content("application/problem+json", content)
        .build()
}

/// Answers with the description of the API.
pub(super) async fn serve() -> Json<Document> {
    Json(document())
}

#[cfg(test)]
mod tests {
    use super::document;

    #[test]
    fn the_description_that_is_checked_in_is_the_generated_one() {
        let generated = document().to_pretty_json().unwrap();
        let checked_in = include_str!("../../../../docs/openapi.json");
        assert!(
            checked_in.trim_end() == generated,
            "docs/openapi.json is out of date: cargo run -- openapi > docs/openapi.json"
        );
    }
}
