//! Requests to one MLflow server: bounded in time, size and number, with the credentials of one account.

use super::answer::{Answer, RequestError, RequestErrorKind, without_answer};
use super::hosts::{GuardedResolver, HostRules, NOT_ALLOWED};
use crate::adapters::write_lease::{FORBIDDEN, WriteLease};
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, Url, redirect};
use rustls::crypto::{CryptoProvider, ring};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A request that is not answered in this time is given up.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read. The versions of a model are the longest answer, at about a kilobyte each.
const LONGEST_ANSWER: usize = 32 << 20;
/// Requests to one server that are on their way at once: many policies must not overwhelm a small server.
const AT_ONCE: usize = 4;
/// Pauses before an idempotent request is sent again.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// The longest pause that a server may ask for; longer ones are left to the next poll.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How to reach a server.
#[derive(Clone)]
pub struct Connection {
    /// Its address; a path is kept as a prefix.
    pub url: String,
    /// Who asks.
    pub credentials: Credentials,
    /// Certificates in PEM that are trusted besides the usual ones.
    pub ca_bundle: Option<String>,
    /// Which hosts may be connected to.
    pub hosts: HostRules,
    /// Until when writes are allowed.
    pub permission: WriteLease,
}

/// The account that is used.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// None: the server asks for none.
    Anonymous,
    /// Name and password.
    Basic {
        /// The account.
        username: String,
        /// Its password.
        password: String,
    },
    /// A bearer token.
    Token(String),
}

/// Without secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic",
            Self::Token(_) => "Token",
        })
    }
}

/// Whether a request that got no answer may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Sending it twice is sending it once.
    Idempotent,
    /// It is sent once.
    Never,
}

/// An MLflow server.
#[derive(Debug)]
pub struct Server {
    http: Client,
    /// Ends with a slash.
    base: Url,
    credentials: Credentials,
    slots: Semaphore,
    permission: WriteLease,
}

impl Server {
    /// A client of this server. Nothing is sent.
    ///
    /// # Errors
    /// The address, the credentials or the certificates cannot be used, or the host may not be connected to.
    pub fn new(connection: &Connection) -> Result<Self, RequestError> {
        let base = base_of(&connection.url)?;
        let host = base.host_str().unwrap_or_default();
        let permit = connection.hosts.permit(host).ok_or_else(|| {
            RequestError::new(
                RequestErrorKind::NotAllowed,
                format!("the host {host} {NOT_ALLOWED}"),
            )
        })?;
        // Somebody may have installed one already, which is as good.
        let _ = CryptoProvider::install_default(ring::default_provider());
        let mut builder = Client::builder()
            .user_agent(concat!("podium/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(GuardedResolver(permit)));
        if let Some(bundle) = &connection.ca_bundle {
            builder = builder.tls_certs_merge(certificates(bundle)?);
        }
        let unusable = |error: reqwest::Error| {
            RequestError::new(RequestErrorKind::Refused, error.without_url().to_string())
        };
        let server = Self {
            http: builder.build().map_err(unusable)?,
            base,
            credentials: connection.credentials.clone(),
            slots: Semaphore::new(AT_ONCE),
            permission: connection.permission.clone(),
        };
        let probe = server.request(Method::GET, server.base.clone()).build();
        probe.map_err(|_| {
            let message = "the credentials must be one line of printable characters";
            RequestError::new(RequestErrorKind::Unauthorized, message)
        })?;
        Ok(server)
    }

    /// The address of the server, without credentials.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The host name of that address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Asks for something below `api/2.0/mlflow/`.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, RequestError> {
        let mut url = self.url(&format!("api/2.0/mlflow/{path}"))?;
        url.query_pairs_mut().extend_pairs(query);
        let answer = self
            .repeated(Repeat::Idempotent, || {
                self.request(Method::GET, url.clone())
            })
            .await?;
        parsed(answer.judged()?, path)
    }

    /// Writes something below `api/2.0/mlflow/`, as long as writes are allowed.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        repeat: Repeat,
    ) -> Result<T, RequestError> {
        let url = self.url(&format!("api/2.0/mlflow/{path}"))?;
        let forbidden = || RequestError::new(RequestErrorKind::Unavailable, FORBIDDEN);
        let writing = self.permission.begin_write().ok_or_else(forbidden)?;
        let answered = self.repeated(repeat, || {
            let request = self.request(method.clone(), url.clone());
            request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string())
        });
        let answer = tokio::select! {
            answered = answered => answered?,
            () = writing.forbidden() => return Err(forbidden()),
        };
        parsed(answer.judged()?, path)
    }

    /// The version of the server, which it tells as plain text.
    pub(super) async fn version(&self) -> Result<String, RequestError> {
        let url = self.url("version")?;
        let answer = self
            .repeated(Repeat::Idempotent, || {
                self.request(Method::GET, url.clone())
            })
            .await?;
        let text = String::from_utf8_lossy(&answer.body).trim().to_string();
        let is_version = answer.status == 200
            && text.len() < 64
            && text.starts_with(|first: char| first.is_ascii_digit());
        if is_version {
            return Ok(text);
        }
        // Any other success is no version, whatever its type says.
        Err(match answer.judged() {
            Err(error) => error,
            Ok(_) => RequestError::new(
                RequestErrorKind::NotMlflow,
                "it does not tell the version of an MLflow",
            ),
        })
    }

    fn url(&self, path: &str) -> Result<Url, RequestError> {
        self.base.join(path).map_err(|error| {
            RequestError::new(RequestErrorKind::Refused, format!("{path}: {error}"))
        })
    }

    /// Sends a request, again where that is allowed and the server was busy or out of reach.
    async fn repeated(
        &self,
        repeat: Repeat,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, RequestError> {
        // Nothing closes the semaphore.
        let _slot = self.slots.acquire().await;
        let mut pauses = PAUSES.iter().filter(|_| repeat == Repeat::Idempotent);
        loop {
            let received = sent(request()).await;
            let asked_for = match &received {
                Ok(received) if matches!(received.status, 408 | 429 | 500 | 502..=504) => {
                    received.retry_after
                }
                Err(error) if error.leaves_open() => None,
                _ => return received,
            };
            match pauses.next() {
                Some(pause) => {
                    let pause = asked_for.unwrap_or(*pause).max(*pause);
                    if pause > LONGEST_PAUSE {
                        return received;
                    }
                    tokio::time::sleep(pause).await;
                }
                None => return received,
            }
        }
    }

    /// A request of this account.
    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.credentials {
            Credentials::Anonymous => request,
            Credentials::Basic { username, password } => {
                request.basic_auth(username, Some(password))
            }
            Credentials::Token(token) => request.bearer_auth(token),
        }
    }
}

async fn sent(request: RequestBuilder) -> Result<Answer, RequestError> {
    let response = request.send().await.map_err(without_answer)?;
    received(response).await
}

async fn received(mut response: Response) -> Result<Answer, RequestError> {
    let header = |name| {
        let value = response.headers().get(name);
        let value = value.and_then(|value: &HeaderValue| value.to_str().ok());
        value.unwrap_or_default().to_string()
    };
    let mut received = Answer {
        status: response.status().as_u16(),
        content_type: header(CONTENT_TYPE),
        location: header(LOCATION),
        retry_after: header(RETRY_AFTER).parse().ok().map(Duration::from_secs),
        body: Vec::new(),
    };
    while let Some(chunk) = response.chunk().await.map_err(without_answer)? {
        if received.body.len() + chunk.len() > LONGEST_ANSWER {
            let message = format!("it answers more than {LONGEST_ANSWER} bytes");
            return Err(RequestError::new(RequestErrorKind::Refused, message));
        }
        received.body.extend_from_slice(&chunk);
    }
    Ok(received)
}

fn parsed<T: DeserializeOwned>(value: Value, path: &str) -> Result<T, RequestError> {
    serde_json::from_value(value).map_err(|_| {
        let message = format!("its answer to {path} is not that of MLflow");
        RequestError::new(RequestErrorKind::NotMlflow, message)
    })
}

/// The address with a slash at its end, so that paths are appended to it.
fn base_of(url: &str) -> Result<Url, RequestError> {
    let refused = |message: String| RequestError::new(RequestErrorKind::Refused, message);
    let mut base = Url::parse(url).map_err(|error| refused(format!("the address: {error}")))?;
    if !base.username().is_empty() || base.password().is_some() {
        let message = "the address must not hold credentials; they belong into the Secret of credentialsSecretRef";
        return Err(refused(message.to_string()));
    }
    if base.query().is_some() || base.fragment().is_some() {
        let message = "the address must have neither a query nor a fragment";
        return Err(refused(message.to_string()));
    }
    let path = format!("{}/", base.path().trim_end_matches('/'));
    base.set_path(&path);
    Ok(base)
}

fn certificates(bundle: &str) -> Result<Vec<Certificate>, RequestError> {
    let refused = |why: String| {
        let message = format!("`ca.crt` must hold certificates in PEM: {why}");
        RequestError::new(RequestErrorKind::Refused, message)
    };
    let certificates = Certificate::from_pem_bundle(bundle.as_bytes());
    let certificates = certificates.map_err(|error| refused(error.to_string()))?;
    if certificates.is_empty() {
        return Err(refused("there is none".to_string()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::mlflow::hosts::AllowedHosts;

    fn connection(url: &str) -> Connection {
        Connection {
            url: url.to_string(),
            credentials: Credentials::Anonymous,
            ca_bundle: None,
            hosts: AllowedHosts::default().of("team"),
            permission: WriteLease::always(),
        }
    }

    #[test]
    fn a_prefix_is_kept() {
        for url in [
            "https://mlflow.example.com/mlf",
            "https://mlflow.example.com/mlf/",
        ] {
            let server = Server::new(&connection(url)).unwrap();
            assert_eq!(server.address(), "https://mlflow.example.com/mlf");
            let url = server.url("api/2.0/mlflow/runs/get").unwrap();
            assert_eq!(url.path(), "/mlf/api/2.0/mlflow/runs/get");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_before_anything_is_sent() {
        let refused = |connection: Connection| Server::new(&connection).unwrap_err().message;
        let cases = [
            ("https://me:secret@mlflow.example.com", "credentials"),
            ("https://mlflow.example.com?a=b", "query"),
            ("https://127.0.0.1:5000", NOT_ALLOWED),
        ];
        for (url, part) in cases {
            let message = refused(connection(url));
            assert!(
                message.contains(part) && !message.contains("secret"),
                "{message}"
            );
        }
        let mut bundle = connection("https://mlflow.example.com");
        bundle.ca_bundle = Some("no certificate".to_string());
        assert!(refused(bundle).contains("PEM"));
        let mut broken = connection("https://mlflow.example.com");
        broken.credentials = Credentials::Token("two\nlines".to_string());
        let message = refused(broken);
        assert!(message.contains("one line") && !message.contains("two"));
    }

    #[test]
    fn secrets_are_not_printed() {
        let basic = Credentials::Basic {
            username: "me".to_string(),
            password: "canary".to_string(),
        };
        let mut connection = connection("https://mlflow.example.com");
        connection.credentials = basic.clone();
        let server = Server::new(&connection).unwrap();
        let token = Credentials::Token("canary".to_string());
        assert!(!format!("{basic:?} {token:?} {server:?}").contains("canary"));
    }
}
