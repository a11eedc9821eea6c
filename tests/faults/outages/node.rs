//! The node goes away.

use crate::bed::gates::{gated, open};
use crate::bed::oracle::{created, no_orphans};
use crate::bed::{Away, on_bed};
use crate::disruptions::{pods, succeeded_after_losses};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use serde_json::json;

#[test]
fn trials_of_a_lost_node_run_again_and_have_not_failed() {
    on_bed("lost-node", async |bed| {
        let operator = bed.operator("a").await;
        let mut search = gated(&bed, "forest", 2, 2);
        search["spec"]["maxFailedTrials"] = json!(0);
        bed.apply(&search);
        bed.until_trial("forest", 1, "Running").await;
        bed.until_trial("forest", 2, "Running").await;
        let kubelet = Away::stopped("kubelet");
        let nodes: Api<Node> = Api::all(bed.client.clone());
        let lost = async || {
            let node = nodes.get("localhost").await;
            let status = node.ok().and_then(|node| node.status);
            let conditions = status.and_then(|status| status.conditions);
            let mut all = conditions.iter().flatten();
            all.any(|condition| condition.type_ == "Ready" && condition.status == "Unknown")
        };
        bed.wait(60, "the node is lost", lost).await;
        // Where no node is left Kubernetes takes no pods away; of several it taints the lost one so.
        let taint = |taint: &str| {
            bed.kubectl(&["taint", "node", "localhost", taint, "--overwrite"])
                .unwrap();
        };
        taint("node.kubernetes.io/unreachable=:NoExecute");
        let taken_away = async || {
            let mut pods = pods(&bed).await.into_iter();
            pods.all(|pod| pod.metadata.deletion_timestamp.is_some())
        };
        bed.wait(60, "the pods are taken away", taken_away).await;
        // The node may never come back, and then only people know; what they do makes the trials run again.
        let said = async || {
            let trials = bed.trials("forest").await;
            let mut reasons = trials
                .iter()
                .map(|trial| trial.status.as_ref().unwrap().reason.as_deref());
            reasons.all(|reason| reason == Some("NodeUnreachable"))
        };
        bed.wait(120, "the trials say why they hang", said).await;
        let out_of_service = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute";
        assert!(
            bed.trials("forest").await.iter().all(|trial| {
                let message = trial.status.as_ref().unwrap().message.as_deref();
                message.unwrap_or_default().contains(out_of_service)
            }),
            "people are told what to do"
        );
        taint(out_of_service);
        let again = async || {
            let created = created([&operator]);
            ["jobs forest-1-2", "jobs forest-2-2"].map(|job| created.get(job)) == [Some(&1); 2]
        };
        bed.wait(90, "both trials run again", again).await;
        taint("node.kubernetes.io/out-of-service-");
        drop(kubelet);
        open(&bed, "all");
        let job = bed.until_finished("forest", 120).await;
        succeeded_after_losses(&job, 2);
        for trial in bed.trials("forest").await {
            let attempts = trial.status.unwrap().attempts;
            let reasons: Vec<_> = attempts.iter().map(|a| a.reason.as_deref()).collect();
            assert_eq!(reasons, [Some("InfrastructureLost"), None]);
        }
        no_orphans(&bed).await;
    });
}
