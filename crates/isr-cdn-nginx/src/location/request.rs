//! From pages to the requests that purge them.

use http::{HeaderMap, HeaderValue, header};
use isr_core::{Machine, PageUrl};

use crate::options::LocationSettings;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
}

/// The requests for a page, in their order: every variant, and last the page without any of the variants'
/// headers. `None` where the page's URL cannot be sent as it is.
///
/// What was cached first is what nginx looks at first, and once it is gone the others are no longer found. Most
/// often that is what a request without special headers got, so it goes last.
pub(crate) fn calls(
    page: &PageUrl,
    machine: &Machine,
    settings: &LocationSettings,
) -> Option<Vec<Call>> {
    let path = format!("{}{}", settings.purge_path, page.path_and_query());
    let url = machine.url(&path)?;
    let host = HeaderValue::from_str(page.host()).ok()?;
    let plain = HeaderMap::new();
    let variants = settings.variants.iter().chain([&plain]);
    let calls = variants.map(|fields| {
        let mut headers = fields.clone();
        headers.insert(header::HOST, host.clone());
        Call {
            url: url.clone(),
            headers,
        }
    });
    Some(calls.collect())
}
