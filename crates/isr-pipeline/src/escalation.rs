//! Purging more than was asked for, where that was allowed, rather than very many pages one by one.

use std::collections::BTreeMap;

use isr_core::{EscalateTo, PageUrl, Store, StoreError, Target, Tier};

use crate::walk::Portion;

/// What is purged instead of a target's pages when there are more than `above`; `None` when there are
/// not, or when nothing smaller than a whole host is above all of them.
pub(crate) async fn escalated(
    store: &dyn Store,
    tier: &Tier,
    target: &Target,
    above: u64,
    to: EscalateTo,
    chunk: usize,
) -> Result<Option<Portion>, StoreError> {
    let mut roofs = Roofs::default();
    let mut count = 0_u64;
    let mut cursor = None;
    loop {
        let found = store.urls_for(target, cursor.as_ref(), chunk).await?;
        for url in found.urls.iter().filter(|url| tier.hosts.serve_page(url)) {
            count += 1;
            roofs.cover(url);
        }
        cursor = found.next;
        let enough = to == EscalateTo::Everything && count > above;
        if cursor.is_none() || enough {
            break;
        }
    }
    if count <= above {
        return Ok(None);
    }
    let native = match to {
        EscalateTo::Everything => Some(vec![Target::Everything]),
        EscalateTo::Prefix => roofs.prefixes(),
    };
    let Some(native) = native else {
        return Ok(None);
    };
    let instead: Vec<String> = native.iter().map(ToString::to_string).collect();
    Ok(Some(Portion {
        escalated: Some(format!("{} instead of {target}", instead.join(", "))),
        pages: pages_at_the_top(store, tier, &native, chunk).await?,
        native,
    }))
}

/// The pages at the prefixes themselves, where purging a prefix leaves them out.
async fn pages_at_the_top(
    store: &dyn Store,
    tier: &Tier,
    native: &[Target],
    chunk: usize,
) -> Result<Vec<PageUrl>, StoreError> {
    let mut pages = Vec::new();
    for target in native {
        let Target::Prefix(prefix) = target else {
            continue;
        };
        if !tier.capabilities().prefix_is_beneath_only {
            continue;
        }
        let mut cursor = None;
        loop {
            let found = store.urls_for(target, cursor.as_ref(), chunk).await?;
            let urls = found.urls.into_iter();
            pages.extend(urls.filter(|url| url.path() == prefix.path()));
            cursor = found.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(pages)
}

/// For each origin, the longest path that every page is at or beneath, as its segments.
#[derive(Debug, Default)]
struct Roofs(BTreeMap<String, Vec<String>>);

impl Roofs {
    fn cover(&mut self, url: &PageUrl) {
        let segments = || url.path().split('/').skip(1).map(str::to_owned);
        match self.0.get_mut(url.origin()) {
            None => {
                let mut roof: Vec<String> = segments().collect();
                // What ends in a slash is beneath what is before it.
                roof.pop_if(|last| last.is_empty());
                self.0.insert(url.origin().to_owned(), roof);
            }
            Some(roof) => {
                let shared = roof.iter().zip(segments()).take_while(|(a, b)| **a == *b);
                let shared = shared.count();
                roof.truncate(shared);
            }
        }
    }

    /// The prefixes; `None` when one of them would be a whole host.
    fn prefixes(&self) -> Option<Vec<Target>> {
        let prefix = |(origin, roof): (&String, &Vec<String>)| {
            let url = format!("{origin}/{}", roof.join("/"));
            let known = PageUrl::parse(&url).ok().filter(|_| !roof.is_empty());
            known.map(Target::Prefix)
        };
        self.0.iter().map(prefix).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(urls: &[&str]) -> Option<Vec<String>> {
        let mut roofs = Roofs::default();
        for url in urls {
            roofs.cover(&PageUrl::parse(url).unwrap());
        }
        let prefixes = roofs.prefixes()?;
        Some(prefixes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_prefix_is_the_longest_that_is_above_all_pages_of_its_host() {
        let a = ["https://a.example/blog/1", "https://a.example/blog/2?x=1"];
        let beneath = |urls: &[&str]| prefixes(urls).unwrap_or_default().join(" | ");
        assert_eq!(beneath(&a), "https://a.example/blog and beneath");
        assert_eq!(
            beneath(&[
                "https://a.example/x/y/1",
                "https://a.example/x/z/1",
                "https://b.example/p/q"
            ]),
            "https://a.example/x and beneath | https://b.example/p/q and beneath"
        );
        assert_eq!(
            beneath(&["https://a.example/blog", "https://a.example/blog/1"]),
            "https://a.example/blog and beneath"
        );
        assert_eq!(
            beneath(&["https://a.example/a//b"]),
            "https://a.example/a//b and beneath"
        );
        assert_eq!(
            beneath(&["https://a.example/blog/", "https://a.example/blog/1"]),
            "https://a.example/blog and beneath"
        );
    }

    #[test]
    fn a_whole_host_is_no_prefix() {
        assert_eq!(
            prefixes(&["https://a.example/blog/1", "https://a.example/shop/1"]),
            None
        );
        assert_eq!(
            prefixes(&["https://a.example/1", "https://a.example/"]),
            None
        );
    }
}
