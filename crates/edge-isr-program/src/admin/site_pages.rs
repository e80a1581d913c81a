//! Which URLs are pages of the site.

use edge_isr::core::{PageUrl, SiteOrigin, UrlRules};

/// Tells the site's pages by their URLs. What is accepted for any other would be lost silently: nobody
/// keeps it, and no tier of the site would find it.
#[derive(Debug)]
pub(crate) struct SitePages {
    rules: UrlRules,
    hosts: Vec<SiteOrigin>,
}

impl SitePages {
    pub(crate) fn new(rules: UrlRules, hosts: Vec<SiteOrigin>) -> Self {
        Self { rules, hosts }
    }

    /// The page at a URL of the site.
    pub(super) fn page(&self, text: &str) -> Result<PageUrl, String> {
        let page = self.former_page(text)?;
        let ours = |host: &SiteOrigin| host.as_str() == page.origin();
        if self.hosts.iter().any(ours) {
            return Ok(page);
        }
        Err(format!("{page} is no page of this site: {}", self.known()))
    }

    /// The page at a URL that the site has, or had under another host.
    pub(super) fn former_page(&self, text: &str) -> Result<PageUrl, String> {
        match self.rules.normalise(text) {
            Ok(normalised) => Ok(normalised.url),
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// A host of the site in canonical spelling: that of a URL with it.
    pub(super) fn host(&self, text: &str) -> Result<String, String> {
        let refused =
            || format!("`{text}` is no host: write it as in a URL, such as example.com:8443");
        if text.contains(['/', '?', '#', '@']) {
            return Err(refused());
        }
        let canonical = |scheme: &str| {
            let page = self.rules.normalise(&format!("{scheme}://{text}/"));
            page.map(|page| page.url.host().to_owned())
        };
        let spellings = [canonical("https"), canonical("http")];
        for host in spellings.iter().flatten() {
            if self.hosts.iter().any(|ours| ours.host() == host) {
                return Ok(host.clone());
            }
        }
        match spellings {
            [Err(_), _] => Err(refused()),
            _ => Err(format!(
                "`{text}` is no host of this site: {}",
                self.known()
            )),
        }
    }

    fn known(&self) -> String {
        let hosts: Vec<&str> = self.hosts.iter().map(SiteOrigin::as_str).collect();
        format!("site.hosts is {}", hosts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> SitePages {
        let hosts = ["https://a.example", "http://b.example:8080"];
        SitePages::new(
            UrlRules::default(),
            hosts.map(|host| SiteOrigin::parse(host).unwrap()).into(),
        )
    }

    #[test]
    fn pages_are_told_by_scheme_host_and_port() {
        for page in [
            "https://A.example/x",
            "https://a.example:443/",
            "http://b.example:8080/y",
        ] {
            assert!(pages().page(page).is_ok(), "{page}");
        }
        for other in [
            "http://a.example/",
            "https://b.example:8080/",
            "https://c.example/",
        ] {
            let refused = pages().page(other).unwrap_err();
            assert!(
                refused.contains("site.hosts is https://a.example, "),
                "{refused}"
            );
            assert!(pages().former_page(other).is_ok());
        }
    }

    #[test]
    fn hosts_are_told_with_the_port_unless_it_is_the_schemes_default() {
        assert_eq!(pages().host("A.example").unwrap(), "a.example");
        assert_eq!(pages().host("a.example:443").unwrap(), "a.example");
        assert_eq!(pages().host("b.example:8080").unwrap(), "b.example:8080");
        for other in ["b.example", "*", "a..example", "x/y", ""] {
            assert!(pages().host(other).is_err(), "{other}");
        }
    }
}
