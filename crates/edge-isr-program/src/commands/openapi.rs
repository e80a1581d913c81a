//! `edge-isr openapi`: the description of the admin API.

use crate::admin::openapi_document;
use crate::output::Output;

pub(super) fn run(output: Output) {
    let document = openapi_document();
    // It is JSON, whether that was asked for or not.
    let text = || {
        document
            .to_pretty_json()
            .expect("the description has a form in JSON")
    };
    output.result(&document, text);
}
