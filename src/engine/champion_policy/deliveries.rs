//! Sends what receivers are still to be told, beside everything else: a receiver that is slow or gone holds up neither the policy nor
//! another receiver.

use super::{cloud_event, events, undelivered};
use crate::engine::{Engine, Requeue};
use crate::ports::{Announcer, Cluster, Delivery, Events, Message, PortError, Ports};
use kube::ResourceExt;
use podium_api::ChampionPolicy;
use podium_api::champion_policy::{NotificationStatus, NotifySpec, UndeliveredStatus};
use podium_api::convert::from_time;
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::Condition;

/// Whoever sent a message says so when it has ended. In case that is lost, it is looked at again after this time, which is longer than a
/// message may wait for its turn and for its answer.
const LOOK_AGAIN_SECONDS: u64 = 60;

impl<P: Ports> Engine<P> {
    /// Sends what is due, and takes down what became of what was sent before. Returns the policy as it is then, and when to look again.
    pub(super) async fn deliver_notifications(
        &self,
        object: ChampionPolicy,
        now: Timestamp,
    ) -> Result<(ChampionPolicy, Requeue), PortError> {
        let before = notifications_of(&object);
        let mut left = Requeue::default();
        if before.iter().all(|told| told.undelivered.is_empty()) {
            return Ok((object, left));
        }
        let mut given_up = Vec::new();
        let mut after = undelivered::wanted_still(before, &object.spec.notify);
        // The oldest first.
        for notification in after.iter_mut().rev() {
            let told = notification.clone();
            notification.undelivered.retain_mut(|owed| {
                let Some(due) = owed.next_time.as_ref().map(from_time) else {
                    return true;
                };
                if due > now {
                    left = left.and(at(due));
                    return true;
                }
                match self.delivered(&object, &told, owed) {
                    None => return true,
                    Some(Delivery::OnItsWay) => {
                        left = left.and(at(now.plus_seconds(LOOK_AGAIN_SECONDS)));
                        return true;
                    }
                    Some(Delivery::Delivered) => return false,
                    Some(Delivery::Failed(why)) => undelivered::failed(owed, &why, now),
                }
                match &owed.next_time {
                    Some(next) => left = left.and(at(from_time(next))),
                    None => given_up.push(words(&told, owed)),
                }
                true
            });
        }
        if after == before {
            return Ok((object, left));
        }
        let stored = self.store_notifications(object, after).await?;
        for text in given_up {
            let event = events::notification_given_up(&stored, &text);
            self.ports.events().publish(event).await;
        }
        Ok((stored, left))
    }

    /// How far a notification is on its way to a receiver; `None` where the specification names none such.
    fn delivered(
        &self,
        object: &ChampionPolicy,
        notification: &NotificationStatus,
        owed: &UndeliveredStatus,
    ) -> Option<Delivery> {
        let announcer = self.ports.announcer();
        let mut receivers = object.spec.notify.iter();
        let receiver = receivers.find(|receiver| undelivered::key_of(receiver) == owed.receiver)?;
        let policy = object.name_any();
        let speaker = announcer.speaker(&policy);
        let message = Message {
            id: notification.id.clone(),
            attempt: owed.attempts,
            document: cloud_event::document(object, &speaker, notification),
            policy,
        };
        Some(announcer.deliver(message, receiver))
    }

    /// The policy as it is stored after that.
    async fn store_notifications(
        &self,
        object: ChampionPolicy,
        notifications: Vec<NotificationStatus>,
    ) -> Result<ChampionPolicy, PortError> {
        let mut updated = object;
        if let Some(status) = &mut updated.status {
            status.notifications = notifications;
        }
        let cluster = self.ports.cluster();
        cluster.replace_status(&updated).await?;
        let stored = cluster.get::<ChampionPolicy>(&updated.name_any()).await?;
        Ok(stored.unwrap_or(updated))
    }

    /// What is to be said of the receivers of a policy.
    pub(super) fn receivers_condition(&self, object: &ChampionPolicy) -> Option<Condition> {
        let receivers: &[NotifySpec] = &object.spec.notify;
        if receivers.is_empty() {
            return None;
        }
        let announcer = self.ports.announcer();
        let mut refusals = receivers.iter().enumerate();
        let refusal =
            refusals.find_map(|(place, receiver)| Some((place, announcer.refusal(receiver)?)));
        let notifications = notifications_of(object);
        Some(undelivered::condition(receivers, refusal, notifications))
    }
}

fn notifications_of(object: &ChampionPolicy) -> &[NotificationStatus] {
    let status = object.status.as_ref();
    status.map_or(&[], |status| status.notifications.as_slice())
}

fn at(time: Timestamp) -> Requeue {
    Requeue {
        at: Some(time),
        ..Requeue::default()
    }
}

fn words(notification: &NotificationStatus, owed: &UndeliveredStatus) -> String {
    let why = owed.message.as_deref().unwrap_or_default();
    format!(
        "a receiver of spec.notify has not heard of `{}` after {} attempts, and is told of it no more: {why}",
        notification.id, owed.attempts
    )
}

/// What newer notifications left no room for.
pub(super) fn words_of_dropped(notification: &NotificationStatus) -> String {
    let receivers = notification.undelivered.len();
    format!(
        "newer notifications leave no room for `{}`, which {receivers} of the receivers of spec.notify have not heard and are told of no more",
        notification.id
    )
}
