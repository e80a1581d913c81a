//! What a tier has to be purged of for some targets, found piece by piece.

use isr_core::{
    Cursor, EscalateTo, Escalation, PageUrl, Store, StoreError, Target, Tier, unlisted,
};

use crate::escalation::escalated;

/// How far a walk has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The target that is being walked.
    pub(crate) target: usize,
    /// Where in that target's pages; `None` before the first of them.
    pub(crate) cursor: Option<Cursor>,
}

/// Something that the tier takes as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Portion {
    /// Targets as they are.
    pub(crate) native: Vec<Target>,
    /// Pages that others stand for.
    pub(crate) pages: Vec<PageUrl>,
    /// What `native` stands for instead of very many pages, in words.
    pub(crate) escalated: Option<String>,
}

/// Why a walk cannot go on.
#[derive(Debug)]
pub(crate) enum WalkError {
    /// The tier cannot be purged of a target, in words.
    Impossible(String),
    Store(StoreError),
}

impl From<StoreError> for WalkError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A walk over everything that a tier has to be purged of.
///
/// A target goes as it is where the tier takes it. Besides it go the pages that the tier keeps without
/// knowing that they belong to the target. Any other target is resolved to its pages, or, where there are
/// too many of them and the site's owner allows it, to something larger.
#[derive(Debug)]
pub(crate) struct Walk<'w> {
    store: &'w dyn Store,
    tier: &'w Tier,
    targets: &'w [Target],
    chunk: usize,
    place: Place,
}

impl<'w> Walk<'w> {
    pub(crate) fn new(
        store: &'w dyn Store,
        tier: &'w Tier,
        targets: &'w [Target],
        chunk: usize,
        place: Place,
    ) -> Self {
        Self {
            store,
            tier,
            targets,
            chunk,
            place,
        }
    }

    /// Where it goes on.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// The next portion, which may be empty; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Portion>, WalkError> {
        let Some(target) = self.targets.get(self.place.target) else {
            return Ok(None);
        };
        if !self.tier.may_keep(target) {
            self.go_on(None);
            return Ok(Some(Portion::default()));
        }
        let mut portion = Portion::default();
        if self.place.cursor.is_none() {
            let takes = self.tier.capabilities().takes(target);
            portion.native.extend(takes.then(|| target.clone()));
            if !takes && let Some(instead) = self.instead_of(target).await? {
                self.go_on(None);
                return Ok(Some(instead));
            }
        }
        let Some(pages) = self.pages_of(target)? else {
            self.go_on(None);
            return Ok(Some(portion));
        };
        let cursor = self.place.cursor.as_ref();
        let found = self.store.urls_for(&pages.of, cursor, self.chunk).await?;
        let kept = found.urls.into_iter().filter(|url| {
            let at = pages.at.is_none_or(|path| url.path() == path);
            at && self.tier.hosts.serve_page(url)
        });
        portion.pages.extend(kept);
        self.go_on(found.next);
        Ok(Some(portion))
    }

    /// Goes on behind what was found.
    fn go_on(&mut self, next: Option<Cursor>) {
        self.place.target += usize::from(next.is_none());
        self.place.cursor = next;
    }

    /// The pages to purge by URL besides, or instead of, the target itself; `None` where there are none.
    fn pages_of(&self, target: &'w Target) -> Result<Option<Pages<'w>>, WalkError> {
        let can = self.tier.capabilities();
        let all = |of| Some(Pages { of, at: None });
        let pages = match target {
            target if !can.takes(target) => all(target.clone()),
            Target::Tag(tag) if can.tags.is_some() => {
                all(Target::Tag(unlisted(&self.tier.group, tag)))
            }
            Target::Prefix(prefix) if can.prefix_is_beneath_only => Some(Pages {
                of: target.clone(),
                at: Some(prefix.path()),
            }),
            _ => None,
        };
        match pages {
            Some(_) if can.url.is_none() && !can.takes(target) => {
                let (name, kind) = (self.tier.name(), target.kind());
                Err(WalkError::Impossible(format!(
                    "{name} can purge neither by {kind} nor by URL"
                )))
            }
            // Such a tier was never given a page whose tags it could not be told.
            Some(_) if can.url.is_none() => Ok(None),
            pages => Ok(pages),
        }
    }

    /// What is purged instead of a target's pages, if there are more of them than the site's owner wants
    /// purged one by one, and he allows more than was asked for.
    async fn instead_of(&self, target: &Target) -> Result<Option<Portion>, StoreError> {
        let Some(Escalation { above, to }) = self.tier.escalation else {
            return Ok(None);
        };
        let can = self.tier.capabilities();
        let covers_all = match to {
            EscalateTo::Prefix => {
                can.prefix.is_some() && (can.url.is_some() || !can.prefix_is_beneath_only)
            }
            EscalateTo::Everything => can.everything.is_some(),
        };
        if !covers_all {
            return Ok(None);
        }
        escalated(self.store, self.tier, target, above, to, self.chunk).await
    }
}

/// Pages that are purged by URL.
#[derive(Debug)]
struct Pages<'w> {
    of: Target,
    /// Only those at this path, whatever their query.
    at: Option<&'w str>,
}
