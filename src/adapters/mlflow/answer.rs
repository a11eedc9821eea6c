//! What an answer of an MLflow server, or the lack of one, means.
//!
//! | status | body | meaning |
//! |---|---|---|
//! | 2xx | JSON | done |
//! | 2xx | anything else | not MLflow: a login page, a proxy |
//! | 3xx | | redirected, which is not followed |
//! | 401 | | credentials are missing or wrong |
//! | 403 | `Invalid Host header` | MLflow does not know the host name it is reached by |
//! | 403 | | a right is missing |
//! | 404 | JSON | the object does not exist |
//! | 404 | `ENDPOINT_NOT_FOUND` | no such route |
//! | 404, 405 | anything else | no such route: a wrong prefix, or no MLflow |
//! | 400 | `RESOURCE_ALREADY_EXISTS` | it exists |
//! | 400 | `BAD_REQUEST` | unknown: it may have happened |
//! | 400 | other JSON | refused |
//! | 400 | anything else | not MLflow: plain HTTP at a port for TLS |
//! | 408, 429, 5xx | | unavailable; whether a write happened is unknown |
//! | none | | the same |

use super::credentials::Hidden;
use crate::adapters::whole_chain;
use crate::ports::{PortError, PortErrorKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Characters of a server's own words that are kept: they may hold SQL with all parameters, or a whole page.
const WORDS: usize = 300;

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// What it means.
    pub kind: RequestErrorKind,
    /// One sentence, in the server's words where it gave any.
    pub message: String,
}

/// The meanings of an answer that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestErrorKind {
    /// The object does not exist.
    Missing,
    /// The object exists already.
    Exists,
    /// The server does not take the request as it is.
    Refused,
    /// Nobody knows whether the request was carried out.
    Unknown,
    /// The server is out of reach or busy.
    Unavailable,
    /// The credentials are missing or wrong.
    Unauthorized,
    /// The account has no right to do this.
    Forbidden,
    /// The server does not know the host name by which it is reached.
    HostRejected,
    /// What answers is not the interface of MLflow.
    NotMlflow,
    /// The server names another address.
    Redirected,
    /// The certificate of the server is not trusted.
    Untrusted,
    /// The host may not be connected to from here.
    NotAllowed,
}

impl RequestError {
    pub(super) fn new(kind: RequestErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// Whether the request may have been carried out all the same.
    pub(super) fn leaves_open(&self) -> bool {
        matches!(
            self.kind,
            RequestErrorKind::Unknown | RequestErrorKind::Unavailable
        )
    }

    /// Whether any other request would have ended like this one, since it says nothing of what was asked for.
    pub(super) fn is_of_the_server(&self) -> bool {
        match self.kind {
            RequestErrorKind::Unknown
            | RequestErrorKind::Unavailable
            | RequestErrorKind::Unauthorized
            | RequestErrorKind::HostRejected
            | RequestErrorKind::NotMlflow
            | RequestErrorKind::Redirected
            | RequestErrorKind::Untrusted
            | RequestErrorKind::NotAllowed => true,
            RequestErrorKind::Missing
            | RequestErrorKind::Exists
            | RequestErrorKind::Refused
            | RequestErrorKind::Forbidden => false,
        }
    }
}

impl From<RequestError> for PortError {
    fn from(error: RequestError) -> Self {
        let kind = match error.kind {
            RequestErrorKind::Missing => PortErrorKind::Missing,
            RequestErrorKind::Unknown | RequestErrorKind::Unavailable => PortErrorKind::Unavailable,
            RequestErrorKind::Unauthorized
            | RequestErrorKind::Forbidden
            | RequestErrorKind::HostRejected
            | RequestErrorKind::NotAllowed => PortErrorKind::Forbidden,
            RequestErrorKind::Exists
            | RequestErrorKind::Refused
            | RequestErrorKind::NotMlflow
            | RequestErrorKind::Redirected
            | RequestErrorKind::Untrusted => PortErrorKind::Refused,
        };
        let message = match error.kind {
            RequestErrorKind::Forbidden => format!(
                "MLflow denies this to the registry's account, which needs EDIT on the registered model and on the experiment of its ledger: {}",
                error.message
            ),
            _ => error.message,
        };
        Self::new(kind, message)
    }
}

/// The answer of a server, read to its end.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Of the header `Content-Type`; empty without one.
    pub(super) content_type: String,
    /// Of the header `Location`; empty without one.
    pub(super) location: String,
    /// Of the header `Retry-After`, where it is a number of seconds.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error_code: String,
    #[serde(default)]
    message: String,
}

impl Answer {
    /// The body of a success, an answer to `path`. Errors show nothing of what is hidden; a success is data, in which a name may be
    /// somebody's password too.
    pub(super) fn judged<T: DeserializeOwned>(
        &self,
        path: &str,
        hidden: &Hidden,
    ) -> Result<T, RequestError> {
        let is_json = self.content_type.starts_with("application/json");
        let fails = |kind, message: String| Err(RequestError::new(kind, message));
        if (200..300).contains(&self.status) {
            let not_mlflow = |message: String| fails(RequestErrorKind::NotMlflow, message);
            if !is_json {
                return not_mlflow(format!("it answers {}", self.form(hidden)));
            }
            // Only what is asked for is kept of a body, which may be long and anybody's.
            return serde_json::from_slice(&self.body)
                .or_else(|_| not_mlflow(format!("its answer to {path} is not that of MLflow")));
        }
        let error: Option<ErrorBody> = if is_json {
            serde_json::from_slice(&self.body).ok()
        } else {
            None
        };
        let code = error.as_ref().map_or("", |error| error.error_code.as_str());
        let words = self.words(error.as_ref(), hidden);
        match self.status {
            300..400 => fails(
                RequestErrorKind::Redirected,
                format!("it redirects to {}", shortened(&hidden.mask(self.place()))),
            ),
            401 => fails(RequestErrorKind::Unauthorized, words),
            403 if self.body.starts_with(b"Invalid Host header") => {
                fails(RequestErrorKind::HostRejected, words)
            }
            403 => fails(RequestErrorKind::Forbidden, words),
            404 if !code.is_empty() && code != "ENDPOINT_NOT_FOUND" => {
                fails(RequestErrorKind::Missing, words)
            }
            404 | 405 => fails(
                RequestErrorKind::NotMlflow,
                format!("it knows no such route and answers {}", self.form(hidden)),
            ),
            400 if code == "RESOURCE_ALREADY_EXISTS" => fails(RequestErrorKind::Exists, words),
            400 if code == "BAD_REQUEST" => fails(RequestErrorKind::Unknown, words),
            400 if !is_json => fails(RequestErrorKind::NotMlflow, words),
            408 | 429 | 500.. => fails(RequestErrorKind::Unavailable, words),
            _ => fails(RequestErrorKind::Refused, words),
        }
    }

    /// What the server says in the form of MLflow's errors. Nothing else is quoted: whoever names the address of a server that is none of
    /// MLflow's could read its answers otherwise.
    fn words(&self, error: Option<&ErrorBody>, hidden: &Hidden) -> String {
        match error {
            Some(error) if !error.error_code.is_empty() && !error.message.is_empty() => {
                shortened(&hidden.mask(&error.message))
            }
            _ => format!("it answers {}", self.form(hidden)),
        }
    }

    /// Where it redirects to, without what it hands over to whoever is there.
    fn place(&self) -> &str {
        let place = self.location.split(['?', '#']).next();
        place.unwrap_or_default()
    }

    /// The status and what kind of body came with it.
    fn form(&self, hidden: &Hidden) -> String {
        let kind = if self.content_type.starts_with("text/html") {
            "HTML"
        } else if self.content_type.is_empty() {
            "a body without a type"
        } else {
            self.content_type.as_str()
        };
        let kind = shortened(&hidden.mask(kind));
        format!("{kind} with status {}", self.status)
    }
}

/// The first characters of a text, in one line.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= WORDS {
        return line;
    }
    let kept: String = line.chars().take(WORDS).collect();
    format!("{kept}…")
}

/// What it means that there is no answer.
pub(super) fn without_answer(error: reqwest::Error) -> RequestError {
    // The address is known to whoever reads it, and may be long.
    let error = error.without_url();
    let words = shortened(&whole_chain(&error));
    let (kind, words) = meaning(words, error.is_connect());
    RequestError::new(kind, words)
}

/// What these words of a failure mean, by whether it happened while connecting.
fn meaning(words: String, is_connect: bool) -> (RequestErrorKind, String) {
    if words.contains(super::hosts::NOT_ALLOWED) {
        (RequestErrorKind::NotAllowed, words)
    } else if words.contains("certificate") {
        (RequestErrorKind::Untrusted, words)
    } else if is_connect && words.contains("corrupt message") {
        let message = "it does not speak TLS, so that its address begins with http://";
        (RequestErrorKind::NotMlflow, message.to_string())
    } else if is_connect {
        // Nothing was sent.
        (RequestErrorKind::Unavailable, words)
    } else {
        (RequestErrorKind::Unknown, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::mlflow::credentials::Credentials;
    use serde_json::Value;

    fn judged(status: u16, content_type: &str, body: &str) -> Result<Value, RequestError> {
        Answer {
            status,
            content_type: content_type.to_string(),
            location: "https://login.example.com/?state=canary".to_string(),
            body: body.into(),
            ..Answer::default()
        }
        .judged("registered-models/get", &Hidden::default())
    }

    #[test]
    fn each_answer_has_one_meaning() {
        use RequestErrorKind::*;
        let json = "application/json";
        let html = "text/html; charset=utf-8";
        let error = |code: &str| format!(r#"{{"error_code":"{code}","message":"why"}}"#);
        let cases = [
            (200, html, "<html>".to_string(), NotMlflow),
            (200, json, "{".to_string(), NotMlflow),
            (302, html, String::new(), Redirected),
            (
                401,
                "text/plain",
                "You are not authenticated".to_string(),
                Unauthorized,
            ),
            (
                403,
                "text/plain",
                "Invalid Host header - possible DNS rebinding attack detected".to_string(),
                HostRejected,
            ),
            (403, html, "Permission denied".to_string(), Forbidden),
            (404, json, error("RESOURCE_DOES_NOT_EXIST"), Missing),
            (404, json, error("ENDPOINT_NOT_FOUND"), NotMlflow),
            (404, html, "<!doctype html>".to_string(), NotMlflow),
            (405, html, "<!doctype html>".to_string(), NotMlflow),
            (400, json, error("RESOURCE_ALREADY_EXISTS"), Exists),
            (400, json, error("BAD_REQUEST"), Unknown),
            (400, json, error("INVALID_PARAMETER_VALUE"), Refused),
            (400, html, "<html>plain HTTP</html>".to_string(), NotMlflow),
            (429, "text/plain", "slow down".to_string(), Unavailable),
            (500, json, error("INTERNAL_ERROR"), Unavailable),
            (503, html, "<html>".to_string(), Unavailable),
        ];
        for (status, content_type, body, kind) in cases {
            let found = judged(status, content_type, &body).unwrap_err();
            assert_eq!(found.kind, kind, "{status} {body}: {found:?}");
            assert!(!found.message.is_empty() && !found.message.contains('<'));
        }
        let body = judged(200, json, r#"{"registered_model": {}}"#).unwrap();
        assert!(body["registered_model"].is_object());
    }

    #[test]
    fn words_of_a_server_are_one_short_line() {
        let long = format!("first\\n\\n{}", "word ".repeat(1000));
        let body = format!(r#"{{"error_code":"INTERNAL_ERROR","message":"{long}"}}"#);
        let found = judged(500, "application/json", &body).unwrap_err();
        assert!(found.message.starts_with("first word"));
        assert_eq!(found.message.chars().count(), WORDS + 1);
        let empty = judged(503, "", "").unwrap_err();
        assert_eq!(
            empty.message,
            "it answers a body without a type with status 503"
        );
    }

    #[test]
    fn nothing_is_quoted_of_a_server_that_is_none_of_mlflow() {
        let cases = [
            (200, "text/plain", "canary"),
            (302, "text/plain", "canary"),
            (403, "text/plain", "canary"),
            (404, "application/json", r#"{"message": "canary"}"#),
            (500, "text/html", "<p>canary"),
            (418, "application/json", r#"{"canary": true}"#),
        ];
        for (status, content_type, body) in cases {
            let found = judged(status, content_type, body).unwrap_err();
            assert!(!found.message.contains("canary"), "{found:?}");
        }
    }

    #[test]
    fn a_success_is_taken_as_it_is_and_an_error_repeats_no_secret() {
        let token = Credentials::Token("champion".to_string());
        let hidden = token.hidden(None);
        let of = |status: u16, body: &str| Answer {
            status,
            content_type: "application/json".to_string(),
            body: body.into(),
            ..Answer::default()
        };
        let body = r#"{"aliases":["champion"]}"#;
        let found: Value = of(200, body).judged("a", &hidden).unwrap();
        assert_eq!(found["aliases"][0], "champion");
        // As Python writes it, which escapes all that is not ASCII.
        let body = r#"{"error_code":"UNAUTHENTICATED","message":"\u0063hampion is wrong"}"#;
        let error = of(401, body).judged::<Value>("a", &hidden).unwrap_err();
        assert_eq!(error.message, "*** is wrong");
        let long = format!("{}champion", "x".repeat(WORDS - 4));
        let body = format!(r#"{{"error_code":"UNAUTHENTICATED","message":"{long}"}}"#);
        let error = of(401, &body).judged::<Value>("a", &hidden).unwrap_err();
        assert!(!error.message.contains("cham"), "{error:?}");
    }

    #[test]
    fn a_type_is_shown_in_short() {
        let found = judged(503, &"long ".repeat(1000), "").unwrap_err();
        assert!(found.message.chars().count() < 2 * WORDS, "{found:?}");
    }

    #[test]
    fn the_lack_of_an_answer_has_a_meaning() {
        use RequestErrorKind::*;
        let cases = [
            ("invalid peer certificate: UnknownIssuer", true, Untrusted),
            (
                "certificate.example.com has the address 127.0.0.1, which is not allowed by --allowed-hosts",
                true,
                NotAllowed,
            ),
            (
                "received corrupt message of type InvalidContentType",
                true,
                NotMlflow,
            ),
            ("Connection refused (os error 111)", true, Unavailable),
            ("connection closed before message completed", false, Unknown),
            ("operation timed out", false, Unknown),
        ];
        for (words, is_connect, kind) in cases {
            let (found, said) = meaning(words.to_string(), is_connect);
            assert_eq!(found, kind, "{words}");
            assert!(!said.is_empty());
        }
    }
}
