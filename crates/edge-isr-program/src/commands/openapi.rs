//! `edge-isr openapi`: the description of the admin API.

use crate::admin::openapi_document;
use crate::failure::Failure;
use crate::output::Output;

pub(super) fn run(output: &Output) -> Result<(), Failure> {
    output.plain(
        &openapi_document()
            .to_pretty_json()
            .map_err(Failure::asked)?,
    );
    Ok(())
}
