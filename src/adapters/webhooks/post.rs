//! Sends messages: one request each, bounded in time, without redirects and proxies. Of the answer nothing counts but its status code.

use super::target::Target;
use crate::adapters::mlflow::hosts::{GuardedResolver, NOT_ALLOWED_TO_NOTIFY, Permit};
use crate::adapters::whole_chain;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, redirect};
use rustls::crypto::{CryptoProvider, ring};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A message that is not confirmed in this time has failed.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What a receiver says is taken from it, so that it can end in order, and read by nobody: so much of it, and for so long.
const LONGEST_ANSWER: usize = 4 << 10;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A message as it is sent.
#[derive(Clone, Debug)]
pub struct SignedMessage<'a> {
    /// The same whenever it is sent again.
    pub id: &'a str,
    /// When it is sent, in seconds since 1970.
    pub second: i64,
    /// A CloudEvent in JSON.
    pub document: &'a str,
    /// Its signature, where there is a key.
    pub signature: Option<String>,
}

/// Sends messages.
#[derive(Debug, Default)]
pub struct Post {
    clients: Mutex<Clients>,
}

#[derive(Debug, Default)]
struct Clients {
    /// For hosts that were named, at whatever address they have.
    named: Option<Client>,
    ordinary: Option<Client>,
}

impl Post {
    /// Sends a message once.
    ///
    /// # Errors
    /// Why it was not confirmed, without what the receiver said.
    pub async fn send(&self, target: &Target, message: &SignedMessage<'_>) -> Result<(), String> {
        let mut request = self
            .client(target.permit)?
            .post(target.url.clone())
            .header(CONTENT_TYPE, "application/cloudevents+json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.second.to_string());
        if let Some(signature) = &message.signature {
            request = request.header("webhook-signature", signature);
        }
        let sent = request.body(message.document.to_string()).send().await;
        let answer = sent.map_err(without_answer)?;
        let code = answer.status().as_u16();
        // What comes after the status changes nothing.
        let _ = tokio::time::timeout(ANSWER_TIMEOUT, received(answer)).await;
        judged(code)
    }

    fn client(&self, permit: Permit) -> Result<Client, String> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match permit {
            Permit::Named => &mut clients.named,
            Permit::Ordinary => &mut clients.ordinary,
        };
        match &*kept {
            Some(client) => Ok(client.clone()),
            None => {
                let client = new_client(permit)?;
                *kept = Some(client.clone());
                Ok(client)
            }
        }
    }
}

fn new_client(permit: Permit) -> Result<Client, String> {
    // Somebody may have installed one already, which is as good.
    let _ = CryptoProvider::install_default(ring::default_provider());
    let builder = Client::builder()
        .user_agent(concat!("podium/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        // A proxy would connect to addresses that nobody here has looked at.
        .no_proxy()
        .https_only(permit == Permit::Ordinary)
        // Champions change rarely, and an address is looked at whenever it is connected to.
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(GuardedResolver {
            permit,
            not_allowed: NOT_ALLOWED_TO_NOTIFY,
        }));
    builder
        .build()
        .map_err(|error| whole_chain(&error.without_url()))
}

fn without_answer(error: reqwest::Error) -> String {
    match error.is_timeout() {
        true => format!("did not answer within {TIMEOUT:?}"),
        false => format!("gave no answer: {}", whole_chain(&error.without_url())),
    }
}

async fn received(mut answer: Response) {
    let mut length = 0;
    while length < LONGEST_ANSWER {
        match answer.chunk().await {
            Ok(Some(chunk)) => length += chunk.len(),
            Ok(None) | Err(_) => break,
        }
    }
}

/// What a status code says of a message.
fn judged(code: u16) -> Result<(), String> {
    match code {
        200..=299 => Ok(()),
        300..=399 => Err(format!(
            "answered with the status {code}, and redirects are not followed"
        )),
        _ => Err(format!("answered with the status {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_confirms_a_message() {
        for code in [200, 202, 204] {
            assert_eq!(judged(code), Ok(()));
        }
        for code in [100, 301, 400, 410, 429, 503] {
            assert!(judged(code).unwrap_err().contains(&code.to_string()));
        }
    }

    /// A client that asks the environment for a proxy shows so.
    #[test]
    fn proxies_of_the_environment_are_not_used() {
        for permit in [Permit::Named, Permit::Ordinary] {
            let shown = format!("{:?}", new_client(permit).unwrap());
            assert!(!shown.contains("proxies"), "{shown}");
        }
    }
}
