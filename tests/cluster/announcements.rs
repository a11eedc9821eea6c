//! Notifications to receivers of this process, on a real MLflow.

use crate::bed::announcements::{HOOK_KEY, Heard, Manner, Receiver, VARIABLES, prepare};
use crate::bed::manifests::{approval, champion_policy, model_registry};
use crate::bed::mlflow::Mlflow;
use crate::bed::{Bed, on_bed};
use crate::policies::{
    champion, looked_at_again, operator_with, policy, until, until_pinned, waits_for_consent, with,
};
use crate::secrets::stand_nowhere;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use podium_api::ChampionPolicy;
use podium_api::champion_policy::NotificationStatus;
use podium_testbed::ports::free_port;
use serde_json::{Value, json};

/// Status, reason and message of a condition of a policy.
pub fn condition<'a>(
    policy: &'a ChampionPolicy,
    kind: &str,
) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = &policy.status.as_ref()?.conditions;
    let found = conditions.iter().find(|c| c.type_ == kind)?;
    let Condition {
        status,
        reason,
        message,
        ..
    } = found;
    Some((status.as_str(), reason.as_str(), message.as_str()))
}

pub async fn until_condition(bed: &Bed, kind: &str, reason: &str) -> String {
    let what = format!("says {reason} of {kind}");
    let policy = until(bed, &what, |policy| {
        condition(policy, kind).is_some_and(|(_, said, _)| said == reason)
    })
    .await;
    let (_, _, message) = condition(&policy, kind).unwrap();
    message.to_string()
}

pub fn patch(bed: &Bed, object: [&str; 2], patch: &Value) {
    let patch = patch.to_string();
    let arguments = ["patch", object[0], object[1], "--type=merge", "-p", &patch];
    bed.kubectl(&arguments).unwrap();
}

/// A policy of the model's name whose receivers are these, of which each knows the key.
fn notifying(model: &str, receivers: &[&Receiver]) -> Value {
    let receivers = receivers.iter();
    let receivers: Vec<Value> = receivers
        .map(|receiver| json!({"url": receiver.url, "secretRef": {"name": "hook-key"}}))
        .collect();
    with(policy(model), "notify", json!(receivers))
}

fn notifications(policy: &ChampionPolicy) -> Vec<NotificationStatus> {
    let status = policy.status.clone().unwrap_or_default();
    status.notifications
}

async fn until_heard(bed: &Bed, receiver: &Receiver, model: &str, kinds: &[&str]) {
    let what = format!("{kinds:?} of {model} are heard");
    bed.wait(120, &what, async || receiver.kinds_of(model) == kinds)
        .await;
}

/// The signature is what the lines in the documentation say, run by a Python of somebody else.
fn is_authentic(mlflow: &Mlflow, heard: &Heard, key: &str) -> bool {
    let document = include_str!("../../docs/announcements.md");
    let lines = document.split("```python\n").nth(1).unwrap();
    let lines = lines.split("```").next().unwrap();
    let message = json!({"headers": heard.headers, "body": heard.body, "key": key});
    let message = json!(message.to_string());
    let script = format!(
        "import json\n{lines}\nmessage = json.loads({message})\n\
         print(is_authentic(message['headers'], message['body'].encode(), message['key']))"
    );
    mlflow.python(&script) == "True"
}

#[test]
fn decisions_are_told_signed_whatever_another_receiver_does() {
    on_bed("notified", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 2);
        prepare(&bed);
        let operator = operator_with(&bed, &VARIABLES).await;
        let (silent, good) = (
            Receiver::open(Manner::Silence).await,
            Receiver::open(Manner::Confirm).await,
        );
        bed.apply(&model_registry(&mlflow.url));
        mlflow.point(&model, "challenger", "1");
        let never = json!({"firstChampion": "Never"});
        let wanted = with(notifying(&model, &[&silent, &good]), "promotion", never);
        bed.apply(&wanted);
        until_heard(&bed, &good, &model, &["held"]).await;
        let consent = json!({"spec": {"promotion": {"firstChampion": "Approval"}}});
        patch(&bed, ["chp", "fraud"], &consent);
        until_heard(&bed, &good, &model, &["held", "awaiting-approval"]).await;
        let waiting = until(&bed, "waits for consent", waits_for_consent).await;
        let pending = waiting.status.unwrap().pending_decision.unwrap();
        bed.apply(&approval("yes", &pending, "ada"));
        let told = ["held", "awaiting-approval", "promoted"];
        until_heard(&bed, &good, &model, &told).await;
        mlflow.point(&model, "champion", "2");
        until(&bed, "has adopted version 2", |policy| {
            champion(policy) == Some("2")
        })
        .await;
        mlflow.point(&model, "champion", "1");
        let told = [&told[..], &["promoted", "rolled-back"]].concat();
        // Whatever the epoch of the move and the holds between: those are told in their order.
        bed.wait(120, "the moves by hand are told", async || {
            let heard = good.kinds_of(&model).into_iter();
            let heard: Vec<String> = heard.filter(|kind| kind != "held").collect();
            heard == told[1..]
        })
        .await;

        let heard = good.heard();
        let promoted = heard
            .iter()
            .find(|heard| heard.kind() == "promoted")
            .unwrap();
        tells_of_the_decision(promoted, &model, &pending.id, &bed.namespace);
        assert!(is_authentic(&mlflow, promoted, HOOK_KEY));
        let forged = Heard {
            body: promoted.body.replace("\"1\"", "\"2\""),
            ..promoted.clone()
        };
        assert!(!is_authentic(&mlflow, &forged, HOOK_KEY));
        until(&bed, "owes all of it to the silent one alone", |policy| {
            let told = notifications(policy);
            told.len() >= 5 && told.iter().all(|told| told.undelivered.len() == 1)
        })
        .await;
        stand_nowhere(&bed, &operator, &[("", HOOK_KEY)]).await;
    });
}

fn tells_of_the_decision(heard: &Heard, model: &str, decision: &str, namespace: &str) {
    assert_eq!(
        heard.headers["content-type"],
        "application/cloudevents+json"
    );
    assert_eq!(heard.id(), format!("{decision}-promoted"));
    let event = heard.event();
    assert_eq!(event["id"], heard.id());
    assert_eq!(event["specversion"], "1.0");
    let source = event["source"].as_str().unwrap();
    assert!(source.starts_with("podium.dev/"), "{source}");
    assert!(source.ends_with(&format!("/{namespace}/fraud")), "{source}");
    let data = &event["data"];
    for (field, value) in [
        ("model", json!(model)),
        ("alias", json!("champion")),
        ("from", Value::Null),
        ("to", json!("1")),
        ("cause", json!("First")),
        ("decisionID", json!(decision)),
        ("verdict", Value::Null),
    ] {
        assert_eq!(data[field], value, "{field}: {event}");
    }
    let sentence = data["sentence"].as_str().unwrap();
    assert!(sentence.contains("v1"), "{sentence}");
}

#[test]
fn what_a_receiver_does_not_take_is_sent_again_under_its_id() {
    on_bed("notified-later", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 2);
        prepare(&bed);
        let operator = operator_with(&bed, &VARIABLES).await;
        let port = free_port().unwrap();
        let (busy, elsewhere) = (
            Receiver::open(Manner::Status(500)).await,
            Receiver::open(Manner::Confirm).await,
        );
        let astray = Receiver::open(Manner::Redirect(elsewhere.url.clone())).await;
        bed.apply(&model_registry(&mlflow.url));
        let mut wanted = notifying(&model, &[&busy, &astray]);
        let down = json!({"url": format!("http://127.0.0.1:{port}/hook")});
        wanted["spec"]["notify"].as_array_mut().unwrap().push(down);
        wanted["spec"]["pin"] = json!({"version": "1", "reason": "by a test"});
        bed.apply(&wanted);
        until_pinned(&bed, "1").await;
        until(&bed, "has failed to tell everybody", |policy| {
            let told = notifications(policy).into_iter();
            let mut failed = told.flat_map(|told| told.undelivered);
            failed.any(|owed| owed.attempts > 1)
        })
        .await;
        let said = until_condition(&bed, "Notified", "Undelivered").await;
        assert!(!said.contains("canary"), "{said}");
        busy.answers(Manner::Confirm);
        astray.answers(Manner::Confirm);
        let late = Receiver::open_at(port, Manner::Confirm).await;
        for receiver in [&busy, &astray, &late] {
            until_heard(&bed, receiver, &model, &["promoted"]).await;
            let heard = receiver.heard();
            assert!(heard.iter().all(|h| h.id() == heard[0].id()), "{heard:?}");
        }
        assert!(busy.heard().len() > 1 && astray.heard().len() > 1);
        assert!(elsewhere.heard().is_empty(), "redirects are not followed");
        assert!(!late.heard()[0].headers.contains_key("webhook-signature"));
        until(&bed, "is owed nothing", |policy| {
            let told = notifications(policy);
            told.len() == 1 && told.iter().all(|told| told.undelivered.is_empty())
        })
        .await;
        until_condition(&bed, "Notified", "Notifying").await;
        // Started anew, it tells nobody again.
        let before = late.heard().len();
        operator.kill();
        operator.start_again();
        operator.until_ready(60).await;
        looked_at_again(&bed, "Pinned").await;
        assert_eq!(late.heard().len(), before);
    });
}

#[test]
fn nothing_is_sent_where_it_may_not_go_or_cannot_be_signed() {
    on_bed("notified-not", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 1);
        prepare(&bed);
        // The pattern allows no address of this machine.
        let rules = [("PODIUM_NOTIFY_ALLOWED_HOSTS", "*=*,others=127.0.0.1")];
        let mut operator = operator_with(&bed, &rules).await;
        let receiver = Receiver::open(Manner::Confirm).await;
        bed.apply(&model_registry(&mlflow.url));
        let mut wanted = notifying(&model, &[&receiver]);
        wanted["spec"]["pin"] = json!({"version": "1", "reason": "by a test"});
        bed.apply(&wanted);
        until_pinned(&bed, "1").await;
        let said = until_condition(&bed, "Notified", "ReceiverNotAllowed").await;
        assert!(said.contains("--notify-allowed-hosts"), "{said}");
        assert!(receiver.heard().is_empty());

        bed.kubectl(&["delete", "secret", "hook-key"]).unwrap();
        operator.kill();
        let (variable, value) = VARIABLES[1];
        operator = operator.with(variable, value);
        operator.start_again();
        until(&bed, "misses the key", |policy| {
            let told = notifications(policy).into_iter();
            let mut owed = told.flat_map(|told| told.undelivered);
            owed.any(|owed| owed.message.is_some_and(|why| why.contains("`hook-key`")))
        })
        .await;
        assert!(receiver.heard().is_empty());
        prepare(&bed);
        until_heard(&bed, &receiver, &model, &["promoted"]).await;
    });
}

#[test]
fn a_policy_whose_receivers_are_silent_holds_up_no_other() {
    on_bed("notified-beside", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 1);
        let other = mlflow.model_with_versions(&format!("{}-b", bed.namespace), 1);
        prepare(&bed);
        let few = [VARIABLES[1], ("PODIUM_MAX_CONCURRENT_RECONCILES", "1")];
        let _operator = operator_with(&bed, &few).await;
        let mut silent = Vec::new();
        for _ in 0..9 {
            silent.push(Receiver::open(Manner::Silence).await);
        }
        let receivers: Vec<&Receiver> = silent.iter().collect();
        bed.apply(&model_registry(&mlflow.url));
        let pin = json!({"version": "1", "reason": "by a test"});
        bed.apply(&with(notifying(&model, &receivers), "pin", pin.clone()));
        bed.wait(120, "all were asked", async || {
            silent.iter().all(|receiver| !receiver.heard().is_empty())
        })
        .await;
        let good = Receiver::open(Manner::Confirm).await;
        let mut beside = champion_policy("beside", &other);
        let receiver = json!([{"url": good.url, "on": ["Promoted"]}]);
        beside["spec"]["pin"] = pin;
        beside["spec"]["notify"] = receiver;
        bed.apply(&beside);
        until_heard(&bed, &good, &other, &["promoted"]).await;
        let owed = bed.find::<ChampionPolicy>("fraud").await.unwrap();
        let undelivered = notifications(&owed).into_iter();
        let undelivered = undelivered.flat_map(|told| told.undelivered);
        assert_eq!(undelivered.count(), 9);
    });
}
