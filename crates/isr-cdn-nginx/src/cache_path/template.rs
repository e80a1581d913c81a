//! `proxy_cache_key`, read backwards: from the key of a file to the page it is a copy of.

use isr_core::{InvalidOption, PageUrl, QueryFilter, SiteOrigin, Target, UrlRules};

/// The origin of pages as they are compared here, where hosts are compared beside them.
const NOWHERE: &str = "http://page.invalid";

/// What `proxy_cache_key` says, as far as pages can be told by it.
///
/// The scheme of a page does not count: who ends TLS in front of nginx has another one in the key than in the
/// page's URL. Neither does the spelling of its path and query, which visitors write as they like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// What stands before the path and query.
    front: Vec<Part>,
    /// What stands after them.
    end: String,
    /// Which parameters make a page.
    rules: UrlRules,
    /// [`NOWHERE`].
    nowhere: SiteOrigin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `$scheme`.
    Scheme,
    /// `$request_method`; nginx keeps answers to these two.
    Method,
    /// `$host`, which is in lower case and has no port.
    Host,
    /// `$http_host`, just as the visitor writes it.
    HttpHost,
}

/// The page a file is a copy of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// What stands in the key before the path and query, in lower case.
    pub(crate) site: String,
    /// Path and query, on [`NOWHERE`]; `None` where no page is written so.
    pub(crate) page: Option<PageUrl>,
}

/// What a target is aimed at, in the words of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aim {
    /// What may stand before the path and query; `None` where that does not count.
    pub(crate) sites: Option<Vec<String>>,
    /// What is purged there, on [`NOWHERE`].
    pub(crate) what: Target,
}

impl Aim {
    /// Whether it is one page that it is aimed at.
    pub(crate) const fn is_page(&self) -> bool {
        matches!(self.what, Target::Url(_))
    }

    /// Whether a file is to be removed; one whose key says nothing only when everything is.
    pub(crate) fn concerns(&self, copy: Option<&Copy>) -> bool {
        if self.what == Target::Everything && self.sites.is_none() {
            return true;
        }
        copy.is_some_and(|copy| {
            let here = self.sites.as_ref().is_none_or(|it| it.contains(&copy.site));
            here && match (&self.what, &copy.page) {
                (Target::Everything, _) => true,
                (what, Some(page)) => what.concerns(page, std::iter::empty()),
                (_, None) => false,
            }
        })
    }
}

impl Template {
    /// Reads a key's template.
    pub(crate) fn parse(
        text: &str,
        proxy_host: Option<&str>,
        query: QueryFilter,
    ) -> Result<Self, InvalidOption> {
        let fault = |fault: String| InvalidOption::new("key", fault);
        let (front, end) = around_uri(text).ok_or_else(|| {
            fault("does not hold `$request_uri`, by which pages are told apart".to_owned())
        })?;
        if end.contains('$') {
            return Err(fault(
                "has a variable after `$request_uri`: put it in front, or leave it to `Vary`"
                    .to_owned(),
            ));
        }
        let mut parts: Vec<Part> = Vec::new();
        for token in tokens(front) {
            let part = match token {
                Token::Text(text) => Part::Text(text.to_owned()),
                Token::Variable("scheme") => Part::Scheme,
                Token::Variable("request_method") => Part::Method,
                Token::Variable("host") => Part::Host,
                Token::Variable("http_host") => Part::HttpHost,
                Token::Variable("proxy_host") => Part::Text(host_of_proxy(proxy_host)?),
                Token::Variable(other) => {
                    return Err(fault(format!(
                        "holds `${other}`: only $scheme, $host, $http_host, $proxy_host, \
                         $request_method, $request_uri and text can be read from a key"
                    )));
                }
            };
            let follows_host = parts.last().is_some_and(Part::is_host);
            match &part {
                Part::Text(text) if follows_host && !text.starts_with(['|', '#', ' ', '/']) => {
                    return Err(fault(
                        "has text after the host that may be part of it: begin it with `|`"
                            .to_owned(),
                    ));
                }
                Part::Text(_) => {}
                _ if follows_host => {
                    return Err(fault(
                        "has a variable right after the host: put `|` between them".to_owned(),
                    ));
                }
                _ => {}
            }
            parts.push(part);
        }
        if proxy_host.is_some() && !front.contains("proxy_host") {
            return Err(InvalidOption::new(
                "proxy_host",
                "is given, and `key` does not hold `$proxy_host`: leave one of them out",
            ));
        }
        Ok(Self {
            front: parts,
            end: end.to_owned(),
            rules: UrlRules::new(query),
            nowhere: SiteOrigin::parse(NOWHERE).expect("it is an origin"),
        })
    }

    /// Whether pages of different hosts have different keys. If not, nginx hands out those of one host to
    /// visitors of any other.
    pub(crate) fn tells_hosts_apart(&self) -> bool {
        self.front.iter().any(Part::is_host)
    }

    /// What a key says; `None` for one that was not made by this template.
    pub(crate) fn read(&self, key: &str) -> Option<Copy> {
        let mut rest = key;
        for (index, part) in self.front.iter().enumerate() {
            rest = match part {
                Part::Text(text) => rest.strip_prefix(text.as_str())?,
                Part::Scheme => rest
                    .strip_prefix("https")
                    .or_else(|| rest.strip_prefix("http"))?,
                Part::Method => rest
                    .strip_prefix("GET")
                    .or_else(|| rest.strip_prefix("HEAD"))?,
                Part::Host | Part::HttpHost => {
                    let end = match self.front.get(index + 1) {
                        Some(Part::Text(text)) => rest.find(text.as_str())?,
                        _ => rest.find('/')?,
                    };
                    let (host, rest) = rest.split_at(end);
                    is_host(host).then_some(rest)?
                }
            };
        }
        let uri = rest.strip_suffix(self.end.as_str())?;
        if !uri.starts_with('/') {
            return None;
        }
        Some(Copy {
            site: key[..key.len() - rest.len()].to_ascii_lowercase(),
            page: self.page(uri),
        })
    }

    /// What a target is aimed at; `None` where files cannot be told by it.
    pub(crate) fn aim(&self, target: &Target) -> Option<Aim> {
        let (sites, what) = match target {
            Target::Url(page) => (
                self.sites(page.host()),
                Target::Url(self.page(page.path_and_query())?),
            ),
            Target::Prefix(page) => (
                self.sites(page.host()),
                Target::Prefix(self.page(page.path())?),
            ),
            Target::Host(host) if self.tells_hosts_apart() => {
                (self.sites(host), Target::Everything)
            }
            Target::Everything => {
                return Some(Aim {
                    sites: None,
                    what: Target::Everything,
                });
            }
            _ => return None,
        };
        Some(Aim {
            sites: Some(sites),
            what,
        })
    }

    fn page(&self, path_and_query: &str) -> Option<PageUrl> {
        let page = self.rules.page(&self.nowhere, path_and_query).ok()?;
        Some(page.url)
    }

    /// Every way in which a host may stand in keys, before the path and query.
    fn sites(&self, host: &str) -> Vec<String> {
        let mut sites = vec![String::new()];
        for part in &self.front {
            let spellings: Vec<String> = match part {
                Part::Text(text) => vec![text.to_ascii_lowercase()],
                Part::Scheme => vec!["http".to_owned(), "https".to_owned()],
                Part::Method => vec!["get".to_owned(), "head".to_owned()],
                Part::Host => vec![without_port(host).to_owned()],
                // A page's URL leaves out the scheme's own port, and hardly anybody writes it.
                Part::HttpHost if without_port(host) == host => {
                    vec![host.to_owned(), format!("{host}:80"), format!("{host}:443")]
                }
                Part::HttpHost => vec![host.to_owned()],
            };
            sites = sites
                .iter()
                .flat_map(|site| spellings.iter().map(move |text| format!("{site}{text}")))
                .collect();
        }
        sites
    }
}

impl Part {
    const fn is_host(&self) -> bool {
        matches!(self, Self::Host | Self::HttpHost)
    }
}

enum Token<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// Text and variables, in their order.
fn tokens(mut rest: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    while !rest.is_empty() {
        let Some(after) = rest.strip_prefix('$') else {
            let (text, others) = rest.split_at(rest.find('$').unwrap_or(rest.len()));
            tokens.push(Token::Text(text));
            rest = others;
            continue;
        };
        let (name, others) = if let Some(braced) = after.strip_prefix('{') {
            braced.split_once('}').unwrap_or((braced, ""))
        } else {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()))
        };
        tokens.push(Token::Variable(name));
        rest = others;
    }
    tokens
}

/// What stands before and after `$request_uri`, in either of its spellings.
fn around_uri(text: &str) -> Option<(&str, &str)> {
    if let Some(around) = text.split_once("${request_uri}") {
        return Some(around);
    }
    let (front, end) = text.split_once("$request_uri")?;
    let goes_on = end.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    (!goes_on).then_some((front, end))
}

fn host_of_proxy(proxy_host: Option<&str>) -> Result<String, InvalidOption> {
    proxy_host
        .filter(|host| !host.is_empty() && !host.contains('/'))
        .map(str::to_owned)
        .ok_or_else(|| {
            InvalidOption::new(
                "proxy_host",
                "is no host: `key` holds `$proxy_host`, so write what stands in `proxy_pass` after \
                 http://, such as \"127.0.0.1:8080\"",
            )
        })
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether this looks like a host, with a port or not. What stands there in the key of another template, such as
/// `http:`, does not.
fn is_host(text: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty() && !text.ends_with(':') && text.bytes().all(is_usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, proxy_host: Option<&str>) -> Result<Template, InvalidOption> {
        Template::parse(text, proxy_host, QueryFilter::default())
    }

    fn template(text: &str) -> Template {
        parse(text, None).unwrap()
    }

    fn url(url: &str) -> Target {
        Target::Url(PageUrl::parse(url).unwrap())
    }

    fn prefix(url: &str) -> Target {
        Target::Prefix(PageUrl::parse(url).unwrap())
    }

    #[track_caller]
    fn check(template: &Template, target: &Target, key: &str, expected: bool) {
        let aim = template.aim(target).unwrap();
        let copy = template.read(key);
        assert_eq!(aim.concerns(copy.as_ref()), expected, "{target} and {key}");
    }

    #[test]
    fn a_page_is_found_by_its_url_in_every_spelling() {
        let template = template("$scheme://$host$request_uri");
        let target = url("https://a.example/caf%C3%A9?b=2&a=1");
        for (key, expected) in [
            ("https://a.example/caf%C3%A9?a=1&b=2", true),
            ("http://a.example/caf%c3%a9?b=2&a=1&utm_source=x", true),
            ("https://a.example/caf%C3%A9", false),
            ("https://a.example/caf%C3%A9/?a=1&b=2", false),
            ("https://b.example/caf%C3%A9?a=1&b=2", false),
            ("ftp://a.example/caf%C3%A9?a=1&b=2", false),
            ("a.example/caf%C3%A9?a=1&b=2", false),
            ("", false),
        ] {
            check(&template, &target, key, expected);
        }
    }

    #[test]
    fn a_key_of_another_template_is_none_of_this_one() {
        for (text, key) in [
            ("$host$request_uri", "http://a.example/x"),
            ("$scheme://$host$request_uri", "https:///x"),
            ("$scheme$host$request_uri", "http://a.example/x"),
            ("$host$request_uri", "a.example"),
        ] {
            assert_eq!(template(text).read(key), None, "{key}");
        }
    }

    #[test]
    fn parameters_that_make_no_page_do_not_count() {
        let allow = QueryFilter::allow(["page"]).unwrap();
        let template = Template::parse("$host$request_uri", None, allow).unwrap();
        let target = url("https://a.example/a?page=2");
        check(&template, &target, "a.example/a?session=1&page=2", true);
        check(&template, &target, "a.example/a?session=1", false);
        let none = QueryFilter::deny(Vec::<&str>::new()).unwrap();
        let template = Template::parse("$host$request_uri", None, none).unwrap();
        let target = url("https://a.example/a");
        check(&template, &target, "a.example/a?utm_source=x", false);
    }

    #[test]
    fn a_prefix_holds_whole_segments() {
        let template = template("$scheme$host$request_uri");
        let target = prefix("https://a.example/blog");
        for (path, expected) in [
            ("/blog", true),
            ("/blog?x=1", true),
            ("/blog/", true),
            ("/blog/1", true),
            ("/blogger", false),
            ("/", false),
            ("/%zz", false),
        ] {
            check(
                &template,
                &target,
                &format!("httpsa.example{path}"),
                expected,
            );
            check(
                &template,
                &target,
                &format!("httpa.example{path}"),
                expected,
            );
            check(&template, &target, &format!("httpsb.example{path}"), false);
        }
    }

    #[test]
    fn a_scheme_that_runs_into_the_host_is_no_trouble() {
        let template = template("$scheme$host$request_uri");
        let target = url("http://shop.example/");
        check(&template, &target, "httpshop.example/", true);
        check(&template, &target, "httpsshop.example/", true);
        check(&template, &target, "httphop.example/", false);
    }

    #[test]
    fn a_host_is_told_as_the_template_has_it() {
        let host = Target::Host("a.example:8080".to_owned());
        check(&template("$host$request_uri"), &host, "a.example/x", true);
        let raw = template("$http_host|$request_uri");
        check(&raw, &host, "A.example:8080|/x", true);
        check(&raw, &host, "a.example|/x", false);
        check(
            &raw,
            &Target::Host("a.example".into()),
            "a.example:443|/x",
            true,
        );
        check(&raw, &Target::Everything, "whatever", true);
        check(&raw, &host, "a.example:8080|/%zz", true);
    }

    #[test]
    fn nginx_own_default_needs_to_know_where_it_passes_requests_to() {
        let text = "$scheme$proxy_host$request_uri";
        let template = parse(text, Some("127.0.0.1:8080")).unwrap();
        let target = url("https://any.example/a");
        check(&template, &target, "http127.0.0.1:8080/a", true);
        check(&template, &target, "http127.0.0.1:8081/a", false);
        assert_eq!(template.aim(&Target::Host("any.example".into())), None);
        assert!(parse(text, None).is_err());
        assert!(parse("$host$request_uri", Some("a")).is_err());
    }

    #[test]
    fn methods_and_text_around_are_read() {
        let template = template("v1 ${request_method} ${host}|${request_uri}|end");
        let target = url("https://a.example/a");
        check(&template, &target, "v1 GET a.example|/a|end", true);
        check(&template, &target, "v1 HEAD a.example|/a|end", true);
        check(&template, &target, "v1 POST a.example|/a|end", false);
        check(&template, &target, "v1 GET a.example|/a", false);
    }

    #[test]
    fn templates_that_cannot_be_read_backwards_are_refused() {
        for text in [
            "",
            "$uri$is_args$args",
            "$host$request_uris",
            "$host$request_uri$http_accept",
            "$host$scheme$request_uri",
            "$host.example$request_uri",
            "$cookie_user$request_uri",
        ] {
            assert!(parse(text, None).is_err(), "{text:?}");
        }
    }
}
