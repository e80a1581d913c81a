//! Machines that are each purged by themselves.

use std::collections::BTreeSet;

use url::Url;

use crate::InvalidOption;
use crate::options::without_user;

/// One cache of several, reached by HTTP at an address of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    label: String,
    scheme: String,
}

impl Machine {
    /// The machines that the option `machines` lists, each as scheme, host and port. `what` says what is
    /// to be listed, and `example` how.
    ///
    /// # Errors
    ///
    /// When there are none, one of them is no address, or one is named twice. What may be a password is
    /// not shown.
    pub fn list(written: &[String], what: &str, example: &str) -> Result<Vec<Self>, InvalidOption> {
        let fault = |fault: String| InvalidOption::new("machines", fault);
        if written.is_empty() {
            return Err(fault(format!(
                "is empty: list every {what}, such as \"{example}\""
            )));
        }
        let mut seen = BTreeSet::new();
        let mut machines = Vec::new();
        for text in written {
            let machine = Self::parse(text).ok_or_else(|| {
                fault(format!(
                    "holds `{}`: write http:// or https://, a host, a port, and nothing more",
                    without_user(text)
                ))
            })?;
            if !seen.insert(machine.label.clone()) {
                return Err(fault(format!("names {} twice", machine.label)));
            }
            machines.push(machine);
        }
        Ok(machines)
    }

    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !bare || !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            label: format!("{}:{}", url.host_str()?, url.port_or_known_default()?),
            scheme: url.scheme().to_owned(),
        })
    }

    /// Host and port, such as `10.0.0.1:6081`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The URL by which the machine is asked for a path and query. `None` where a URL library would put
    /// them into another form on their way, since that would be another page's.
    #[must_use]
    pub fn url(&self, path_and_query: &str) -> Option<String> {
        let text = format!("{}://{}{path_and_query}", self.scheme, self.label);
        let url = Url::parse(&text).ok()?;
        let query = url.query().map(|query| format!("?{query}"));
        let sent = format!("{}{}", url.path(), query.unwrap_or_default());
        (sent == path_and_query).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(written: &[&str]) -> Result<Vec<Machine>, InvalidOption> {
        let written: Vec<String> = written.iter().map(|&text| text.to_owned()).collect();
        Machine::list(&written, "cache", "http://10.0.0.1")
    }

    #[test]
    fn a_machine_is_a_scheme_a_host_and_a_port() {
        let machines = list(&[
            "http://10.0.0.1:6081",
            "https://V.example",
            "http://[::1]:80/",
        ]);
        let machines = machines.unwrap();
        let labels: Vec<&str> = machines.iter().map(Machine::label).collect();
        assert_eq!(labels, ["10.0.0.1:6081", "v.example:443", "[::1]:80"]);
        let url = machines[1].url("/a?b").unwrap();
        assert_eq!(url, "https://v.example:443/a?b");
    }

    #[test]
    fn what_is_no_machine_is_shown_without_what_may_be_a_password() {
        let nothing_more = "write http:// or https://, a host, a port, and nothing more";
        let rows: [(&[&str], String); 8] = [
            (
                &[],
                "is empty: list every cache, such as \"http://10.0.0.1\"".into(),
            ),
            (
                &["10.0.0.1:6081"],
                format!("holds `10.0.0.1:6081`: {nothing_more}"),
            ),
            (&["a"], format!("holds `a`: {nothing_more}")),
            (
                &["http://a/b"],
                format!("holds `http://a/b`: {nothing_more}"),
            ),
            (&["http://a?"], format!("holds `http://a?`: {nothing_more}")),
            (
                &["http://u:hunter2@a"],
                format!("holds `a`: {nothing_more}"),
            ),
            (&["ftp://a"], format!("holds `ftp://a`: {nothing_more}")),
            (&["http://a", "http://A:80/"], "names a:80 twice".into()),
        ];
        for (written, expected) in rows {
            let expected = InvalidOption::new("machines", expected);
            assert_eq!(list(written), Err(expected));
        }
    }

    #[test]
    fn a_path_that_would_become_another_is_not_sent() {
        let machine = &list(&["http://a"]).unwrap()[0];
        for path in ["/", "/a//b?c=%2F&d", "/caf%C3%A9/?", "/(a)+;b"] {
            assert!(machine.url(path).is_some(), "{path}");
        }
        for path in ["", "/a/../b", "/a b", "/a#b", "/\u{e9}", "/a?b#c", "/%2e/"] {
            assert_eq!(machine.url(path), None, "{path}");
        }
    }
}
