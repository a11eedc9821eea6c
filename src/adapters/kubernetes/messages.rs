//! Messages to the receivers that policies name, signed with the keys in Secrets beside them. Each is sent on its own, beside every
//! reconcile, and whoever asks for it later is told what became of it.

use super::clock::ServerClock;
use super::get;
use crate::adapters::mlflow::hosts::{AllowedHosts, HostRules};
use crate::adapters::webhooks::post::{Post, SignedMessage};
use crate::adapters::webhooks::signature::SigningKey;
use crate::adapters::webhooks::target::Target;
use crate::adapters::webhooks::turns::Turns;
use crate::adapters::write_lease::{FORBIDDEN, WriteLease};
use crate::ports::{Clock, Delivery, Message};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use podium_api::champion_policy::NotifySpec;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// The key of a Secret that messages are signed with.
const KEY: &str = "key";
/// An attempt is forgotten after this time. What became of it was taken down long ago, or its policy is gone.
const KEPT: Duration = Duration::from_secs(600);

/// The messages of all namespaces that are on their way, and what became of those that were.
pub struct Messages {
    client: Client,
    hosts: AllowedHosts,
    permission: WriteLease,
    clock: ServerClock,
    post: Post,
    turns: Turns,
    sent: Mutex<HashMap<Key, Sent>>,
}

/// Which attempt to tell whom of what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    namespace: String,
    policy: String,
    id: String,
    attempt: i32,
    address: String,
}

struct Sent {
    at: Instant,
    task: JoinHandle<()>,
    /// What became of it; nothing after the end of the task is a defect.
    end: Arc<OnceLock<Result<(), String>>>,
}

impl Sent {
    fn delivery(&self) -> Delivery {
        match self.end.get() {
            Some(Ok(())) => Delivery::Delivered,
            Some(Err(why)) => Delivery::Failed(why.clone()),
            None if self.task.is_finished() => {
                Delivery::Failed("was not sent: a defect of Podium".to_string())
            }
            None => Delivery::OnItsWay,
        }
    }

    fn is_of_use(&self) -> bool {
        !self.task.is_finished() || self.at.elapsed() < KEPT
    }
}

impl Messages {
    /// Messages may go to these hosts, as long as `permission` allows writes.
    #[must_use]
    pub fn new(
        client: Client,
        hosts: AllowedHosts,
        permission: WriteLease,
        clock: ServerClock,
    ) -> Self {
        Self {
            client,
            hosts,
            permission,
            clock,
            post: Post::default(),
            turns: Turns::default(),
            sent: Mutex::default(),
        }
    }

    /// The hosts that the policies of a namespace may name.
    #[must_use]
    pub fn hosts_of(&self, namespace: &str) -> HostRules {
        self.hosts.of(namespace)
    }

    /// Sends a message of this namespace unless this attempt was made already, and says how far it is; `wake` is called when it has ended.
    pub fn deliver(
        self: &Arc<Self>,
        namespace: &str,
        message: Message,
        receiver: &NotifySpec,
        wake: impl FnOnce() + Send + 'static,
    ) -> Delivery {
        let key = Key {
            namespace: namespace.to_string(),
            policy: message.policy.clone(),
            id: message.id.clone(),
            attempt: message.attempt,
            address: receiver.url.clone(),
        };
        let mut all = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, sent| sent.is_of_use());
        // Told as often as it is asked: a status that cannot be written is no reason to send anew what was heard.
        if let Some(before) = all.get(&key) {
            return before.delivery();
        }
        let end: Arc<OnceLock<Result<(), String>>> = Arc::default();
        let sending = {
            let (messages, end) = (Arc::clone(self), Arc::clone(&end));
            let (namespace, receiver) = (namespace.to_string(), receiver.clone());
            async move {
                let sent = messages.send(&namespace, &message, &receiver).await;
                // Nobody else sets it.
                let _ = end.set(sent);
                wake();
            }
        };
        let sent = Sent {
            at: Instant::now(),
            task: tokio::spawn(sending),
            end,
        };
        all.insert(key, sent);
        Delivery::OnItsWay
    }

    async fn send(
        &self,
        namespace: &str,
        message: &Message,
        receiver: &NotifySpec,
    ) -> Result<(), String> {
        let target = Target::of(&receiver.url, &self.hosts_of(namespace))?;
        let _turn = self.turns.take(namespace, &target.authority()).await?;
        let key = self.key_of(namespace, receiver).await?;
        let forbidden = || FORBIDDEN.to_string();
        // No write that an end of the operator would wait for: what was not taken down is sent again under its id.
        self.permission.left().ok_or_else(forbidden)?;
        let second = self.clock.now().whole_seconds();
        let signed = SignedMessage {
            id: &message.id,
            second,
            document: &message.document,
            signature: key.map(|key| key.sign(&message.id, second, &message.document)),
        };
        tokio::select! {
            () = self.permission.forbidden() => Err(forbidden()),
            sent = self.post.send(&target, &signed) => sent,
        }
    }

    /// The key that messages to a receiver are signed with, if it names one. Nothing that a Secret holds is in any error.
    async fn key_of(
        &self,
        namespace: &str,
        receiver: &NotifySpec,
    ) -> Result<Option<SigningKey>, String> {
        let Some(reference) = &receiver.secret_ref else {
            return Ok(None);
        };
        let what = format!("the Secret `{}` of its secretRef", reference.name);
        let found = get::<Secret>(&self.client, namespace, &reference.name).await;
        let found =
            found.map_err(|error| format!("was not sent: {what} cannot be read: {error}"))?;
        let secret = found.ok_or_else(|| format!("was not sent: {what} does not exist"))?;
        let bytes = secret.data.as_ref().and_then(|data| data.get(KEY));
        let bytes = bytes.map(|bytes| bytes.0.as_slice()).unwrap_or_default();
        let key = SigningKey::parse(bytes);
        key.map(Some)
            .map_err(|must| format!("was not sent: {what} must hold {must} under the key `{KEY}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::kubernetes::scripted_api::ScriptedApi;
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;
    use futures::FutureExt;
    use serde_json::{Value, json};
    use std::future::Future;
    use tokio::net::TcpListener;
    use tokio::sync::{mpsc, watch};

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work)
    }

    /// A receiver, which answers if it is to, and how much it has heard.
    async fn receiver(answers: bool) -> (NotifySpec, Arc<watch::Sender<usize>>) {
        let heard = Arc::new(watch::Sender::new(0));
        let hear = {
            let heard = Arc::clone(&heard);
            move || {
                let heard = Arc::clone(&heard);
                async move {
                    heard.send_modify(|heard| *heard += 1);
                    if !answers {
                        std::future::pending::<()>().await;
                    }
                    StatusCode::NO_CONTENT
                }
            }
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(hear));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let receiver = serde_json::from_value(json!({"url": url, "on": ["Held"]}));
        (receiver.unwrap(), heard)
    }

    fn messages(permission: &WriteLease) -> Arc<Messages> {
        let client = ScriptedApi::new(|_| (404, Value::Null)).client();
        let hosts = AllowedHosts::parse(["team-a=127.0.0.1"]).unwrap();
        let clock = ServerClock::default();
        Arc::new(Messages::new(client, hosts, permission.clone(), clock))
    }

    fn message(attempt: i32) -> Message {
        Message {
            policy: "fraud".to_string(),
            id: "abc-held".to_string(),
            attempt,
            document: "{}".to_string(),
        }
    }

    #[test]
    fn an_attempt_is_made_once_however_often_its_end_cannot_be_stored() {
        run(async {
            let messages = messages(&WriteLease::always());
            let (receiver, heard) = receiver(true).await;
            let (ended, mut end) = mpsc::unbounded_channel();
            let deliver = |attempt: i32| {
                let ended = ended.clone();
                let wake = move || ended.send(()).unwrap();
                messages.deliver("team-a", message(attempt), &receiver, wake)
            };
            assert_eq!(deliver(0), Delivery::OnItsWay);
            end.recv().await.unwrap();
            for _ in 0..3 {
                assert_eq!(deliver(0), Delivery::Delivered);
            }
            assert_eq!(*heard.borrow(), 1);
            assert_eq!(deliver(1), Delivery::OnItsWay);
            end.recv().await.unwrap();
            assert_eq!(*heard.borrow(), 2);
        });
    }

    #[test]
    fn an_operator_that_ends_waits_for_no_receiver() {
        run(async {
            let permission = WriteLease::always();
            let messages = messages(&permission);
            let (receiver, heard) = receiver(false).await;
            let (ended, mut end) = mpsc::unbounded_channel();
            let deliver = || {
                let ended = ended.clone();
                let wake = move || ended.send(()).unwrap();
                messages.deliver("team-a", message(0), &receiver, wake)
            };
            assert_eq!(deliver(), Delivery::OnItsWay);
            let mut hearing = heard.subscribe();
            hearing.wait_for(|heard| *heard == 1).await.unwrap();
            assert_eq!(permission.no_writes().now_or_never(), Some(()));
            // Without the lease nothing goes on.
            permission.end();
            end.recv().await.unwrap();
            assert_eq!(deliver(), Delivery::Failed(FORBIDDEN.to_string()));
        });
    }
}
