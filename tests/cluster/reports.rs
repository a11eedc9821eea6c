//! Reports of comparisons: the pod that compares writes them, and a store that does not take one costs no verdict.

use crate::bed::object_store::ObjectStore;
use crate::evidence::{comparison, on_scene, until_comparison};
use crate::secrets::is_silent_about;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

#[test]
fn the_report_of_a_comparison_lies_where_its_policy_says() {
    on_scene("reported", async |bed, scene| {
        let store = ObjectStore::of_testbed(bed);
        scene.put_both();
        let mut policy = scene.policy();
        policy["spec"]["reports"] = json!({"uri": store.uri("reports")});
        bed.apply(&policy);
        scene.until_promoted(bed).await;

        let evaluation = comparison(bed).await.unwrap();
        let name = evaluation.name_any();
        let status = evaluation.status.unwrap();
        let path = |ending: &str| format!("reports/fraud/{name}.{ending}");
        assert_eq!(status.report_uri, Some(store.uri(&path("html"))));
        assert_eq!(status.report_message, None);
        let [page, document] = ["html", "json"].map(|ending| store.text(&path(ending)));
        for part in ["v2 against v1", "<svg ", &name, &scene.uri("2")] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let accounts = [(store.access_key.as_str(), store.secret_key.as_str())];
        is_silent_about("the page", &page, &accounts);
        is_silent_about("the document", &document, &accounts);
        let document: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["evaluation"], name);
        let statistics = status.statistics.unwrap();
        for field in ["/seed", "/metrics/0/difference", "/crossCheck/difference"] {
            let found = document["comparison"]["statistics"].pointer(field);
            assert_eq!(found, statistics.pointer(field), "{field}");
        }
    });
}

#[test]
fn a_store_that_takes_no_report_holds_no_champion() {
    on_scene("unreported", async |bed, scene| {
        scene.put_both();
        let mut policy = scene.policy();
        policy["spec"]["reports"] = json!({"uri": "s3://there-is-no-such-bucket/reports"});
        bed.apply(&policy);
        let compared = until_comparison(bed, "has a verdict", |status| status.verdict.is_some());
        let status = compared.await;
        assert_eq!(status.verdict.as_deref(), Some("Superior"));
        let why = status.report_message.unwrap();
        assert!(why.contains("no bucket `there-is-no-such-bucket`"), "{why}");
        assert_eq!((status.report_uri, status.attempts), (None, Some(1)));
        scene.until_promoted(bed).await;
        let events = bed.api::<Event>().list(&ListParams::default()).await;
        let told = events.unwrap().items.into_iter().filter(|event| {
            let is_warning = event.type_.as_deref() == Some("Warning");
            is_warning && event.reason.as_deref() == Some("ReportNotWritten")
        });
        assert_eq!(told.count(), 1);
    });
}
