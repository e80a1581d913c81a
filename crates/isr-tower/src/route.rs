//! What the routes within one layer have in common.

use axum::extract::FromRequestParts as _;
use axum::extract::RawPathParams;
use http::request::Parts;
use isr_core::{Policy, Tag, TagSet, tag};

use crate::Page;

/// What the routes within one layer have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Route {
    pub(crate) policy: Option<Policy>,
    pub(crate) tags: TagSet,
    pub(crate) parameters: Vec<TagParameter>,
}

/// A tag whose identifier is a parameter of the path.
#[derive(Clone, Debug)]
pub(crate) struct TagParameter {
    pub(crate) namespace: String,
    pub(crate) parameter: String,
}

impl Route {
    /// Says of a page what holds for all pages of the route. A layer further in speaks later, so its
    /// policy is the one that counts.
    pub(crate) async fn describe(&self, page: &Page, parts: &mut Parts) {
        let tags = self.path_tags(parts).await;
        page.change(|draft| {
            if self.policy.is_some() {
                draft.policy.clone_from(&self.policy);
            }
            draft.add(self.tags.iter().cloned());
            match tags {
                Ok(tags) => draft.add(tags),
                Err(missing) => {
                    tracing::error!(
                        parameter = missing,
                        "a tag's path parameter is not in this route's path"
                    );
                    draft.incomplete = true;
                }
            }
        });
    }

    /// The tags from the path, percent-decoded by axum; or the parameter that the path lacks.
    async fn path_tags(&self, parts: &mut Parts) -> Result<Vec<Tag>, &str> {
        let Some(first) = self.parameters.first() else {
            return Ok(Vec::new());
        };
        // Refused when there are no parameters, or one is not UTF-8 once decoded.
        let values = RawPathParams::from_request_parts(parts, &()).await;
        let values = values.map_err(|_| first.parameter.as_str())?;
        let tag_of = |wanted: &'_ TagParameter| {
            let (_, value) = values.iter().find(|(name, _)| *name == wanted.parameter)?;
            Some(tag(&wanted.namespace, value))
        };
        let tags = self
            .parameters
            .iter()
            .map(|wanted| tag_of(wanted).ok_or(&*wanted.parameter));
        tags.collect()
    }
}
