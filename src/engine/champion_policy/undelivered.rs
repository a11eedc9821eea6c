//! Who is still to be told of what. It stands in the status, in the very write by which a change becomes visible, and goes when a receiver
//! has confirmed it, so that no crash loses a notification; one that is repeated keeps its id.

use podium_api::champion_policy::{NotificationStatus, NotifySpec, UndeliveredStatus};
use podium_api::convert::{name_of, to_time};
use podium_core::champion::cause::digest;
use podium_core::time::Timestamp;
use podium_core::tuning::conditions::{Condition, Status};

/// Notifications that a status holds.
const KEPT: usize = 20;
/// Seconds until what failed once is tried again; each further failure doubles them.
const FIRST_PAUSE_SECONDS: u64 = 5;
const LONGEST_PAUSE_SECONDS: u64 = 3600;
/// Attempts after which a notification is given up; their pauses are a day in all.
const MOST_ATTEMPTS: i32 = 33;
/// Characters of a failure that are kept.
const MESSAGE: usize = 1024;

/// The digest by which a receiver is known.
pub(super) fn key_of(receiver: &NotifySpec) -> String {
    digest(&[&receiver.url])
}

/// What is kept once there is news.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Kept {
    /// Newest first.
    pub(super) notifications: Vec<NotificationStatus>,
    /// Those that somebody has not heard, and that newer ones left no room for.
    pub(super) dropped: Vec<NotificationStatus>,
}

/// Adds news, the oldest first. What is known already is no news, and what no receiver wants to hear is not kept.
pub(super) fn with_news(
    before: &[NotificationStatus],
    news: Vec<NotificationStatus>,
    receivers: &[NotifySpec],
    now: Timestamp,
) -> Kept {
    if receivers.is_empty() {
        return Kept::default();
    }
    let mut kept = Kept {
        notifications: wanted_still(before, receivers),
        dropped: Vec::new(),
    };
    for mut new in news {
        let is_known = kept.notifications.iter().any(|known| known.id == new.id);
        new.undelivered = owed(&new, receivers, now);
        if !is_known && !new.undelivered.is_empty() {
            kept.notifications.insert(0, new);
        }
    }
    while kept.notifications.len() > KEPT {
        let last = kept.notifications.len() - 1;
        let settled = kept.notifications.iter().rposition(is_settled);
        let removed = kept.notifications.remove(settled.unwrap_or(last));
        if !is_settled(&removed) {
            kept.dropped.push(removed);
        }
    }
    kept
}

/// The same without receivers that are gone.
pub(super) fn wanted_still(
    notifications: &[NotificationStatus],
    receivers: &[NotifySpec],
) -> Vec<NotificationStatus> {
    let keys: Vec<String> = receivers.iter().map(key_of).collect();
    let mut kept = notifications.to_vec();
    for notification in &mut kept {
        let undelivered = &mut notification.undelivered;
        undelivered.retain(|owed| keys.contains(&owed.receiver));
    }
    kept
}

fn owed(
    notification: &NotificationStatus,
    receivers: &[NotifySpec],
    now: Timestamp,
) -> Vec<UndeliveredStatus> {
    let wants = |receiver: &&NotifySpec| {
        let mut kinds = receiver.on.iter();
        kinds.any(|kind| name_of(*kind) == notification.kind)
    };
    let wanting = receivers.iter().filter(wants);
    wanting
        .map(|receiver| UndeliveredStatus {
            receiver: key_of(receiver),
            attempts: 0,
            next_time: Some(to_time(now)),
            message: None,
        })
        .collect()
}

/// Whether nothing is sent of it any more.
fn is_settled(notification: &NotificationStatus) -> bool {
    let mut undelivered = notification.undelivered.iter();
    undelivered.all(|owed| owed.next_time.is_none())
}

/// Takes down that an attempt failed. Without a time of its next one it is given up.
pub(super) fn failed(owed: &mut UndeliveredStatus, why: &str, now: Timestamp) {
    owed.attempts = owed.attempts.saturating_add(1).clamp(1, MOST_ATTEMPTS);
    owed.message = Some(why.chars().take(MESSAGE).collect());
    let again_at = now.plus_seconds(pause(owed.attempts));
    owed.next_time = (owed.attempts < MOST_ATTEMPTS).then(|| to_time(again_at));
}

/// Seconds after so many attempts.
fn pause(attempts: i32) -> u64 {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0);
    let seconds = FIRST_PAUSE_SECONDS.saturating_mul(2_u64.saturating_pow(doublings));
    seconds.min(LONGEST_PAUSE_SECONDS)
}

/// The condition `Notified`; `refusal` is the first receiver that nothing is sent to, by its place, and why.
pub(super) fn condition(
    receivers: &[NotifySpec],
    refusal: Option<(usize, String)>,
    notifications: &[NotificationStatus],
) -> Condition {
    let said = |status, reason: &str, message: String| Condition {
        kind: "Notified",
        status,
        reason: reason.to_string(),
        message,
    };
    if let Some((place, why)) = refusal {
        let message = format!("spec.notify[{place}].url: {why}; nothing is sent there");
        return said(Status::False, "ReceiverNotAllowed", message);
    }
    let mut undelivered = notifications.iter().flat_map(|n| &n.undelivered);
    match undelivered.find_map(|owed| Some((owed, owed.message.as_ref()?))) {
        None => {
            let message = "the receivers of spec.notify hear of what is decided".to_string();
            said(Status::True, "Notifying", message)
        }
        Some((owed, why)) => {
            let place = receivers.iter().position(|r| key_of(r) == owed.receiver);
            let place = place.map_or_else(String::new, |place| place.to_string());
            let message = format!(
                "spec.notify[{place}] has not heard of everything, as status.notifications shows: {why}"
            );
            said(Status::False, "Undelivered", message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_api::convert::from_time;
    use serde_json::json;

    const START: Timestamp = Timestamp(1_767_225_600_000);
    const SECONDS_OF_A_DAY: i64 = 86_400;

    fn receiver(url: &str, on: &[&str]) -> NotifySpec {
        serde_json::from_value(json!({"url": url, "on": on})).unwrap()
    }

    fn news(id: &str, kind: &str) -> NotificationStatus {
        serde_json::from_value(json!({
            "id": id, "kind": kind, "time": "2026-01-01T00:00:00Z", "epoch": 1, "sentence": "why",
        }))
        .unwrap()
    }

    fn after(
        before: &[NotificationStatus],
        new: &[(&str, &str)],
        receivers: &[NotifySpec],
    ) -> Vec<NotificationStatus> {
        let new = new.iter().map(|(id, kind)| news(id, kind)).collect();
        let kept = with_news(before, new, receivers, START);
        assert_eq!(kept.dropped, []);
        kept.notifications
    }

    fn ids(notifications: &[NotificationStatus]) -> Vec<&str> {
        notifications.iter().map(|n| n.id.as_str()).collect()
    }

    #[test]
    fn each_receiver_is_owed_what_it_wants_to_hear_once() {
        let (all, some) = (
            receiver("https://a", &["Promoted", "Held"]),
            receiver("https://b", &["Held"]),
        );
        let both = [all.clone(), some.clone()];
        let new = [("1", "Promoted"), ("2", "Held"), ("3", "RolledBack")];
        let kept = after(&[], &new, &both);
        assert_eq!(
            ids(&kept),
            ["2", "1"],
            "the newest first, and none that nobody wants"
        );
        let owed_to = |place: usize| -> Vec<&str> {
            let undelivered = kept[place].undelivered.iter();
            undelivered.map(|owed| owed.receiver.as_str()).collect()
        };
        assert_eq!(owed_to(0), [key_of(&all), key_of(&some)]);
        assert_eq!(owed_to(1), [key_of(&all)]);
        // What was delivered is not owed anew, and what was not stays owed.
        let mut delivered = kept.clone();
        delivered[0].undelivered.clear();
        assert_eq!(after(&delivered, &new, &both), delivered);
    }

    #[test]
    fn receivers_that_are_gone_are_owed_nothing() {
        let (a, b) = (
            receiver("https://a", &["Held"]),
            receiver("https://b", &["Held"]),
        );
        let kept = after(&[], &[("1", "Held")], &[a.clone(), b]);
        let left = after(&kept, &[], std::slice::from_ref(&a));
        assert_eq!(left[0].undelivered.len(), 1);
        assert_eq!(left[0].undelivered[0].receiver, key_of(&a));
        assert_eq!(after(&kept, &[], &[]), []);
    }

    #[test]
    fn a_status_stays_small_and_drops_what_was_heard_first() {
        let receivers = [receiver("https://a", &["Held"])];
        let mut kept = Vec::new();
        for number in 0..KEPT {
            kept = after(&kept, &[(&number.to_string(), "Held")], &receivers);
        }
        kept[4].undelivered.clear();
        let heard = kept[4].id.clone();
        let kept = after(&kept, &[("new", "Held")], &receivers);
        assert_eq!(kept.len(), KEPT);
        assert!(!ids(&kept).contains(&heard.as_str()));
        assert!(ids(&kept).contains(&"0"), "nobody has heard the oldest");
        let full = with_news(&kept, vec![news("newer", "Held")], &receivers, START);
        assert_eq!(ids(&full.dropped), ["0"]);
        assert_eq!(full.notifications.len(), KEPT);
    }

    #[test]
    fn pauses_grow_until_a_day_is_over() {
        let receivers = [receiver("https://a", &["Held"])];
        let mut kept = after(&[], &[("1", "Held")], &receivers);
        let owed = &mut kept[0].undelivered[0];
        let (mut now, mut pauses) = (START, Vec::new());
        while let Some(next) = &owed.next_time {
            let next = from_time(next);
            pauses.push(next.milliseconds_since(now) / 1000);
            now = next;
            failed(owed, "answered with the status 503", now);
        }
        assert_eq!(pauses[..5], [0, 5, 10, 20, 40]);
        assert!(pauses.iter().all(|pause| *pause <= 3600));
        let lasted = now.milliseconds_since(START) / 1000;
        assert!(
            (SECONDS_OF_A_DAY - 3600..=SECONDS_OF_A_DAY).contains(&lasted),
            "{lasted}"
        );
        assert_eq!(owed.attempts, MOST_ATTEMPTS);
        assert!(is_settled(&kept[0]));
    }

    #[test]
    fn what_keeps_a_receiver_from_hearing_is_said() {
        let receivers = [
            receiver("https://a", &["Held"]),
            receiver("https://b", &["Held"]),
        ];
        let mut kept = after(&[], &[("1", "Held")], &receivers);
        let said = |refusal, kept: &[NotificationStatus]| {
            let said = condition(&receivers, refusal, kept);
            (said.status, said.reason, said.message)
        };
        let (status, reason, _) = said(None, &kept);
        assert_eq!((status, reason.as_str()), (Status::True, "Notifying"));
        failed(
            &mut kept[0].undelivered[1],
            "answered with the status 503",
            START,
        );
        let (status, reason, message) = said(None, &kept);
        assert_eq!((status, reason.as_str()), (Status::False, "Undelivered"));
        assert!(
            message.contains("spec.notify[1]") && message.contains("503"),
            "{message}"
        );
        let (_, reason, message) = said(Some((0, "the host a is not allowed".to_string())), &kept);
        assert_eq!(reason, "ReceiverNotAllowed");
        assert!(
            message.contains("spec.notify[0].url: the host a"),
            "{message}"
        );
    }
}
