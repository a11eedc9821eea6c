//! A notification as a CloudEvent 1.0 in its structured form: one JSON document, which is easily signed. It is made of the specification and
//! of what the status keeps alone, so that it is the same whenever it is sent.

use super::notifications::kebab;
use podium_api::ChampionPolicy;
use podium_api::champion_policy::NotificationStatus;
use serde::Serialize;

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: Data<'a>,
}

/// Fields without a value are null, so that receivers find all of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    model: &'a str,
    alias: &'a str,
    from: Option<&'a str>,
    to: Option<&'a str>,
    cause: Option<&'a str>,
    #[serde(rename = "decisionID")]
    decision_id: Option<&'a str>,
    epoch: i64,
    verdict: Option<&'a str>,
    sentence: &'a str,
    evidence_digest: Option<&'a str>,
}

/// The document; `speaker` is the policy as `CLUSTER/NAMESPACE/NAME`.
pub(super) fn document(
    policy: &ChampionPolicy,
    speaker: &str,
    notification: &NotificationStatus,
) -> String {
    let NotificationStatus {
        id,
        kind,
        time,
        decision_id,
        epoch,
        cause,
        from,
        to,
        verdict,
        evidence_digest,
        sentence,
        undelivered: _, // no matter of the receivers
    } = notification;
    let event = CloudEvent {
        specversion: "1.0",
        id,
        source: source(speaker),
        kind: format!("dev.podium.champion.{}", kebab(kind)),
        subject: &policy.spec.model,
        time: time.0.to_string(),
        datacontenttype: "application/json",
        data: Data {
            model: &policy.spec.model,
            alias: &policy.spec.aliases.champion,
            from: from.as_deref(),
            to: to.as_deref(),
            cause: cause.as_deref(),
            decision_id: decision_id.as_deref(),
            epoch: *epoch,
            verdict: verdict.as_deref(),
            sentence,
            evidence_digest: evidence_digest.as_deref(),
        },
    };
    // Texts and numbers can always be written.
    serde_json::to_string(&event).unwrap_or_default()
}

/// A reference as RFC 3986 has it, whatever the cluster is called.
fn source(speaker: &str) -> String {
    let mut written = "podium.dev/".to_string();
    for byte in speaker.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_notification_is_a_whole_cloud_event() {
        let policy: ChampionPolicy = serde_json::from_value(json!({
            "metadata": {"name": "fraud", "uid": "a"},
            "spec": {
                "registryRef": {"name": "mlflow"}, "model": "fraud detection",
                "evidence": {"predictions": {"uri": "s3://a/$(version)", "columns": {"id": "i", "label": "l", "score": "s"}}},
            },
        }))
        .unwrap();
        let notification: NotificationStatus = serde_json::from_value(json!({
            "id": "abc-rolled-back", "kind": "RolledBack", "time": "2026-01-01T00:00:00Z", "decisionID": "abc",
            "epoch": 7, "cause": "Pin", "from": "2", "to": "1", "sentence": "v1 is \"pinned\".",
            "undelivered": [{"receiver": "canary", "attempts": 3, "message": "canary"}],
        }))
        .unwrap();
        let document = document(&policy, "my cluster/team-a/fraud", &notification);
        let event: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(
            event,
            json!({
                "specversion": "1.0", "id": "abc-rolled-back", "source": "podium.dev/my%20cluster/team-a/fraud",
                "type": "dev.podium.champion.rolled-back", "subject": "fraud detection",
                "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
                "data": {
                    "model": "fraud detection", "alias": "champion", "from": "2", "to": "1", "cause": "Pin",
                    "decisionID": "abc", "epoch": 7, "verdict": null, "sentence": "v1 is \"pinned\".",
                    "evidenceDigest": null,
                },
            })
        );
    }
}
