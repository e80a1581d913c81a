//! What nginx answered, and what that means.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, StatusCode};
use isr_core::{ConnectorError, excerpt_within, html_title};

/// The most characters of an answer that are shown.
const LONGEST_TITLE: usize = 200;

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// When it had come.
    pub(crate) at: SystemTime,
}

impl Answer {
    /// How many copies went: one for 200; none for 404, and for the 412 of newer modules, which say that
    /// nothing was cached.
    ///
    /// # Errors
    ///
    /// Any other answer, and one that does not come from the location: the origin may answer anything.
    pub(crate) fn copies(
        &self,
        connector: &str,
        mark: Option<&HeaderName>,
    ) -> Result<u64, ConnectorError> {
        let is_known = mark.is_none_or(|mark| self.headers.contains_key(mark));
        match self.status {
            StatusCode::OK if is_known => Ok(1),
            StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED if is_known => Ok(0),
            status if status.is_success() => Err(ConnectorError::unreachable(
                connector,
                format!(
                    "it answered {status}, and not from the purge location of docs/connectors/nginx.conf: \
                     give nginx that location, and have it add the answer header"
                ),
            )),
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Err(ConnectorError::refused(
                connector,
                format!(
                    "it answered {}; allow the address that this process calls from in the purge location \
                     (`allow 10.0.0.0/8;` before `deny all;`)",
                    excerpt_within(&self.said(), LONGEST_TITLE)
                ),
            )),
            status => Err(ConnectorError::from_answer(
                connector,
                status,
                &self.headers,
                html_title(&self.body),
                self.at,
            )),
        }
    }

    fn said(&self) -> String {
        match html_title(&self.body) {
            "" => self.status.to_string(),
            title => title.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const MARK: HeaderName = HeaderName::from_static("x-edge-isr-purge");

    fn read(
        status: u16,
        marked: bool,
        expected: Option<&HeaderName>,
    ) -> Result<u64, ConnectorError> {
        let mark = (MARK, HeaderValue::from_static("on"));
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: marked.then_some(mark).into_iter().collect(),
            at: SystemTime::UNIX_EPOCH,
            body: "<html><title>403 Forbidden</title>".to_owned(),
        };
        answer.copies("n", expected)
    }

    #[test]
    fn what_was_not_cached_is_purged() {
        for (status, copies) in [(200, 1), (404, 0), (412, 0)] {
            assert_eq!(read(status, true, Some(&MARK)).unwrap(), copies);
            assert_eq!(read(status, false, None).unwrap(), copies);
        }
    }

    #[test]
    fn who_is_not_the_location_has_purged_nothing() {
        assert!(read(200, false, Some(&MARK)).unwrap_err().is_retryable());
        assert!(!read(404, false, Some(&MARK)).unwrap_err().is_retryable());
        assert!(read(202, true, Some(&MARK)).unwrap_err().is_retryable());
    }

    #[test]
    fn a_stranger_is_told_where_to_be_let_in() {
        let error = read(403, true, Some(&MARK)).unwrap_err();
        assert!(!error.is_retryable());
        let text = error.to_string();
        assert!(
            text.contains("it answered 403 Forbidden; allow the address"),
            "{text}"
        );
    }
}
