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
/// What nobody has asked for after this time is forgotten: its policy is gone, or wants it no more.
const KEPT: Duration = Duration::from_secs(600);

/// The messages of all namespaces that are on their way.
pub struct Messages {
    client: Client,
    hosts: AllowedHosts,
    permission: WriteLease,
    clock: ServerClock,
    post: Post,
    turns: Turns,
    sent: Mutex<HashMap<Key, Sent>>,
}

/// Which message to whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    namespace: String,
    policy: String,
    id: String,
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

    /// Sends a message of this namespace unless it is on its way, and says how far it is; `wake` is called when it has ended.
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
            address: receiver.url.clone(),
        };
        let mut all = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, sent| sent.is_of_use());
        if let Some(before) = all.get(&key) {
            let delivery = before.delivery();
            if delivery != Delivery::OnItsWay {
                all.remove(&key);
            }
            return delivery;
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
        let writing = self.permission.begin_write().ok_or_else(forbidden)?;
        let second = self.clock.now().whole_seconds();
        let signed = SignedMessage {
            id: &message.id,
            second,
            document: &message.document,
            signature: key.map(|key| key.sign(&message.id, second, &message.document)),
        };
        tokio::select! {
            () = writing.forbidden() => Err(forbidden()),
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
