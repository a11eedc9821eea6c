//! Requests to one MLflow server: bounded in time, size and number, with the credentials of one account.

use super::address::{base_of, host_header};
use super::answer::{Answer, RequestError, RequestErrorKind, without_answer};
use super::credentials::{Credentials, Hidden};
use super::hosts::{GuardedResolver, HostRules, NOT_ALLOWED};
use crate::adapters::whole_chain;
use crate::adapters::write_lease::{FORBIDDEN, WriteLease};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, Url, redirect};
use rustls::crypto::{CryptoProvider, ring};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A request that is not answered in this time is given up.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read. The versions of a model are the longest answer, at about a kilobyte each.
const LONGEST_ANSWER: usize = 32 << 20;
/// Requests to one server that are on their way at once: many policies must not overwhelm a small server.
const AT_ONCE: usize = 4;
/// How long a request waits for its turn among these.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
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

/// Why no server can be asked with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableConnection {
    /// What of it cannot be used.
    pub part: ConnectionPart,
    /// What must hold of that, without what is secret.
    pub message: String,
}

/// The parts of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionPart {
    /// See [`Connection::url`].
    Address,
    /// See [`Connection::hosts`].
    Host,
    /// See [`Connection::credentials`].
    Credentials,
    /// See [`Connection::ca_bundle`].
    Certificates,
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
    pub(super) hidden: Hidden,
    slots: Semaphore,
    permission: WriteLease,
}

impl Server {
    /// A client of this server. Nothing is sent.
    ///
    /// # Errors
    /// The address, the credentials or the certificates cannot be used, or the host may not be connected to.
    pub fn new(connection: &Connection) -> Result<Self, UnusableConnection> {
        let unusable = |part, message: String| UnusableConnection { part, message };
        let base = base_of(&connection.url);
        let base = base.map_err(|why| unusable(ConnectionPart::Address, why))?;
        let host = base.host_str().unwrap_or_default();
        let permit = connection.hosts.permit(host).ok_or_else(|| {
            let message = format!("the host {host} {NOT_ALLOWED}");
            unusable(ConnectionPart::Host, message)
        })?;
        // Somebody may have installed one already, which is as good.
        let _ = CryptoProvider::install_default(ring::default_provider());
        let mut builder = Client::builder()
            .user_agent(concat!("podium/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            // A proxy would connect to addresses that nobody here has looked at.
            .no_proxy()
            .dns_resolver(Arc::new(GuardedResolver {
                permit,
                not_allowed: NOT_ALLOWED,
            }));
        if let Some(bundle) = &connection.ca_bundle {
            builder = builder.tls_certs_merge(certificates(bundle)?);
        }
        let http = builder.build().map_err(|error| {
            let why = whole_chain(&error.without_url());
            unusable(ConnectionPart::Certificates, why)
        })?;
        let credentials = connection.credentials.clone();
        let probe = credentials.sign(http.request(Method::GET, base.clone()));
        let probe = probe.build().map_err(|_| {
            let message = "they must be one line of printable characters".to_string();
            unusable(ConnectionPart::Credentials, message)
        })?;
        Ok(Self {
            hidden: credentials.hidden(probe.headers().get(AUTHORIZATION)),
            http,
            base,
            credentials,
            slots: Semaphore::new(AT_ONCE),
            permission: connection.permission.clone(),
        })
    }

    /// The address of the server, without credentials.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Its host as requests name it: with its port, unless that is the usual one.
    #[must_use]
    pub fn host(&self) -> String {
        host_header(&self.base)
    }

    /// Asks for something below `api/2.0/mlflow/`.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, RequestError> {
        self.get_below("api/2.0/mlflow", path, query).await
    }

    /// Asks for something below another path.
    pub(super) async fn get_below<T: DeserializeOwned>(
        &self,
        interface: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, RequestError> {
        let mut url = self.url(&format!("{interface}/{path}"))?;
        url.query_pairs_mut().extend_pairs(query);
        let answer = self
            .repeated(Repeat::Idempotent, LONGEST_ANSWER, || {
                self.request(Method::GET, url.clone())
            })
            .await?;
        answer.judged(path, &self.hidden)
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
        let answered = self.repeated(repeat, LONGEST_ANSWER, || {
            let request = self.request(method.clone(), url.clone());
            request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string())
        });
        let answer = tokio::select! {
            // Asked first: whoever stood still meanwhile must not repeat what he sent before.
            biased;
            () = writing.forbidden() => return Err(forbidden()),
            answered = answered => answered?,
        };
        answer.judged(path, &self.hidden)
    }

    /// Posts what is the same when it is sent again, and whose answer says nothing.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<(), RequestError> {
        let written: Result<IgnoredAny, _> = self
            .write(Method::POST, path, body, Repeat::Idempotent)
            .await;
        written.map(drop)
    }

    /// The version of the server, which it tells as plain text.
    pub(super) async fn version(&self) -> Result<String, RequestError> {
        let url = self.url("version")?;
        let answer = self
            .repeated(Repeat::Idempotent, LONGEST_ANSWER, || {
                self.request(Method::GET, url.clone())
            })
            .await?;
        let text = String::from_utf8_lossy(&answer.body).trim().to_string();
        let is_version = answer.status == 200
            && text.len() < 64
            && text.starts_with(|first: char| first.is_ascii_digit());
        if is_version {
            return Ok(self.mask(&text));
        }
        // Any other success is no version, whatever its type says.
        Err(match answer.judged::<IgnoredAny>("version", &self.hidden) {
            Err(error) => error,
            Ok(_) => RequestError::new(
                RequestErrorKind::NotMlflow,
                "it does not tell the version of an MLflow",
            ),
        })
    }

    /// Words of the server, without secrets that it repeats.
    pub(super) fn mask(&self, words: &str) -> String {
        self.hidden.mask(words)
    }

    pub(super) fn url(&self, path: &str) -> Result<Url, RequestError> {
        self.base.join(path).map_err(|error| {
            RequestError::new(RequestErrorKind::Refused, format!("{path}: {error}"))
        })
    }

    /// Sends a request, again where that is allowed and the server was busy or out of reach. Of its answer `most` bytes are read.
    pub(super) async fn repeated(
        &self,
        repeat: Repeat,
        most: usize,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, RequestError> {
        let _turn = turn(&self.slots, LONGEST_WAIT).await?;
        let mut pauses = PAUSES.iter().filter(|_| repeat == Repeat::Idempotent);
        loop {
            let received = sent(request(), most).await;
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
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.credentials.sign(self.http.request(method, url))
    }
}

/// A turn among the requests that are on their way at once.
async fn turn(slots: &Semaphore, patience: Duration) -> Result<SemaphorePermit<'_>, RequestError> {
    let acquired = tokio::time::timeout(patience, slots.acquire()).await;
    // Nothing closes the semaphore.
    let acquired = acquired.ok().and_then(Result::ok);
    acquired.ok_or_else(|| {
        let message = format!(
            "so many requests to this server wait that this one had no turn in {patience:?}; it was not sent, and is tried again"
        );
        RequestError::new(RequestErrorKind::Unavailable, message)
    })
}

async fn sent(request: RequestBuilder, most: usize) -> Result<Answer, RequestError> {
    let response = request.send().await.map_err(without_answer)?;
    received(response, most).await
}

async fn received(mut response: Response, most: usize) -> Result<Answer, RequestError> {
    let header = |name| {
        let value = response.headers().get(name);
        let value = value.and_then(|value: &HeaderValue| value.to_str().ok());
        value.unwrap_or_default().to_string()
    };
    let too_long = || {
        let message = format!("it answers more than {most} bytes");
        RequestError::new(RequestErrorKind::Refused, message)
    };
    let mut received = Answer {
        status: response.status().as_u16(),
        content_type: header(CONTENT_TYPE),
        location: header(LOCATION),
        retry_after: header(RETRY_AFTER).parse().ok().map(Duration::from_secs),
        body: Vec::new(),
    };
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).unwrap_or(usize::MAX) > most {
        return Err(too_long());
    }
    while let Some(chunk) = response.chunk().await.map_err(without_answer)? {
        if received.body.len() + chunk.len() > most {
            return Err(too_long());
        }
        received.body.extend_from_slice(&chunk);
    }
    Ok(received)
}

fn certificates(bundle: &str) -> Result<Vec<Certificate>, UnusableConnection> {
    let refused = |why: String| {
        let message = format!("`ca.crt` must hold certificates in PEM: {why}");
        UnusableConnection {
            part: ConnectionPart::Certificates,
            message,
        }
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
        let refused = |connection: Connection| {
            let unusable = Server::new(&connection).unwrap_err();
            (unusable.part, unusable.message)
        };
        let cases = [
            (
                "https://me:secret@mlflow.example.com",
                ConnectionPart::Address,
                "credentials",
            ),
            ("https://127.0.0.1:5000", ConnectionPart::Host, NOT_ALLOWED),
            (
                "https://[::ffff:127.0.0.1]:5000",
                ConnectionPart::Host,
                NOT_ALLOWED,
            ),
        ];
        for (url, part, words) in cases {
            let (found, message) = refused(connection(url));
            assert_eq!(found, part, "{url}");
            assert!(
                message.contains(words) && !message.contains("secret"),
                "{message}"
            );
        }
        let mut bundle = connection("https://mlflow.example.com");
        bundle.ca_bundle = Some("no certificate".to_string());
        let (part, message) = refused(bundle);
        assert_eq!(part, ConnectionPart::Certificates);
        assert!(message.contains("PEM"), "{message}");
        let mut broken = connection("https://mlflow.example.com");
        broken.credentials = Credentials::Token("two\nlines".to_string());
        let (part, message) = refused(broken);
        assert_eq!(part, ConnectionPart::Credentials);
        assert!(message.contains("one line") && !message.contains("two"));
    }

    /// A client that asks the environment for a proxy shows so.
    #[test]
    fn proxies_of_the_environment_are_not_used() {
        let server = Server::new(&connection("https://mlflow.example.com")).unwrap();
        let shown = format!("{:?}", server.http);
        assert!(!shown.contains("proxies"), "{shown}");
        let unaware = format!("{:?}", Client::builder().build().unwrap());
        assert!(unaware.contains("proxies"), "{unaware}");
    }

    #[test]
    fn a_request_does_not_wait_for_ever_for_its_turn() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let slots = Semaphore::new(1);
            let first = turn(&slots, Duration::ZERO).await.unwrap();
            let error = turn(&slots, Duration::ZERO).await.unwrap_err();
            assert_eq!(error.kind, RequestErrorKind::Unavailable);
            assert!(error.message.contains("was not sent"), "{error:?}");
            drop(first);
            assert!(turn(&slots, Duration::ZERO).await.is_ok());
        });
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
