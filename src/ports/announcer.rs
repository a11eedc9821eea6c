//! Telling those outside of Podium who is champion, and what was decided.

use super::PortError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use podium_api::champion_policy::NotifySpec;
use std::collections::BTreeMap;
use std::future::Future;

/// What stands in a ConfigMap of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// Its name.
    pub name: String,
    /// The policy that it belongs to and goes with.
    pub owner: OwnerReference,
    /// All that it holds.
    pub data: BTreeMap<String, String>,
}

/// What became of an attempt to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It stands there.
    Stands,
    /// Something of that name is somebody else's, and was left alone; whose it is.
    Foreign(String),
}

/// Something to tell a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The policy that it is about.
    pub policy: String,
    /// The same whenever it is sent again.
    pub id: String,
    /// How many attempts have failed, by what is stored.
    pub attempt: i32,
    /// A CloudEvent in JSON.
    pub document: String,
}

/// How far a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was sent, and there is no answer yet.
    OnItsWay,
    /// The receiver has confirmed it.
    Delivered,
    /// It was not confirmed; why, without what is secret and without what the receiver said.
    Failed(String),
}

/// Tells those outside of Podium who is champion, and what was decided.
pub trait Announcer: Send + Sync {
    /// Why nothing is published here, and what changes that; `None` where champions are published.
    fn disabled(&self) -> Option<&'static str>;
    /// Makes a ConfigMap what it is to be, unless it is somebody else's. One that is that already is not written.
    fn publish(
        &self,
        publication: &Publication,
    ) -> impl Future<Output = Result<Published, PortError>> + Send;
    /// Deletes the ConfigMaps that were published for the policy with this uid, but for the one of the name that is kept.
    fn withdraw(
        &self,
        owner: &str,
        kept: Option<&str>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
    /// A policy as whoever speaks: `CLUSTER/NAMESPACE/NAME`.
    fn speaker(&self, policy: &str) -> String;
    /// Why nothing is sent to a receiver; `None` where it may be.
    fn refusal(&self, receiver: &NotifySpec) -> Option<String>;
    /// Sends a message unless this attempt was made already, and says how far it is. Nothing is waited for: the policy is reconciled once
    /// there is an end. That is told until the next attempt, however often it cannot be stored.
    fn deliver(&self, message: Message, receiver: &NotifySpec) -> Delivery;
}
