//! What pods reach outside of the cluster.

use crate::bed::manifests::script_job;
use crate::bed::on_bed;
use podium_testbed::mlflow::MLFLOW;
use serde_json::json;

#[test]
fn a_pod_reaches_mlflow_where_the_test_bed_says() {
    on_bed("reach", async |bed| {
        let mlflow = std::env::var("MLFLOW_IN_PODS").expect("the test bed says where it is");
        let get = format!("curl --fail --silent --show-error {mlflow}");
        // The last one is refused to whoever comes by a name that MLflow does not know.
        let asks = format!(
            "{get}/health >> /dev/termination-log && echo >> /dev/termination-log && {get}/version >> /dev/termination-log \
             && {get}/api/2.0/mlflow/experiments/get?experiment_id=0 > /dev/null"
        );
        let mut spec = script_job(&asks);
        spec["backoffLimit"] = json!(0);
        spec["template"]["spec"]["restartPolicy"] = json!("Never");
        bed.apply(&json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "asks"}, "spec": spec,
        }));
        let wait = [
            "wait",
            "--for=condition=Complete",
            "job/asks",
            "--timeout=180s",
        ];
        if let Err(error) = bed.kubectl(&wait) {
            panic!("{error}\n{:?}", bed.kubectl(&["logs", "job/asks"]));
        }
        let message =
            "-o=jsonpath={.items[0].status.containerStatuses[0].state.terminated.message}";
        let answered = bed.kubectl(&["get", "pods", "-l=job-name=asks", message]);
        assert_eq!(answered, Ok(format!("OK\n{MLFLOW}")));
    });
}
