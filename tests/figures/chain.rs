//! The whole chain of `examples/fraud-champion`, with the operator in a pod too: from the moment that it is asked for until the alias has
//! moved in MLflow. `bench/chain.py` sets the chain beside it that it replaces.

use crate::bed::mlflow::Mlflow;
use crate::bed::object_store::ObjectStore;
use crate::bed::operator::program;
use crate::bed::{Bed, helm, kubectl, on_bed, run};
use crate::figure;
use crate::mlflow_registry::mlflow_registry;
use arrow_array::RecordBatchReader as _;
use kube::ResourceExt;
use kube::api::ListParams;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use podium_api::champion_policy::ChampionPolicyStatus;
use podium_api::{ChampionPolicy, TuningJob};
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::ports::ModelRegistry as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The model of the example.
const MODEL: &str = "fraud-detection";

/// Names a folder with the files of rows; one that lacks is simulated there.
const ROWS_VARIABLE: &str = "PODIUM_FIGURE_ROWS";

/// Files of rows, with the day from which they are simulated in `4-data.yaml`.
const ROWS: [(&str, &str); 2] = [("train.parquet", "60"), ("holdout.parquet", "74")];

/// Columns that scorers do not get.
const LABELS: [&str; 2] = ["tx_fraud", "tx_fraud_scenario"];

/// An operator from the chart, as the README installs it.
fn install(bed: &Bed) {
    let manifests = helm(&[
        "template",
        "podium",
        "charts/podium",
        "--namespace",
        &bed.namespace,
        "--set=publish.enabled=true,crds.install=false",
    ]);
    let apply = ["apply", "--server-side", "--force-conflicts"];
    let here = ["-n", &bed.namespace, "-f", "-"];
    kubectl(&[&apply[..], &here[..]].concat(), Some(&manifests.unwrap())).unwrap();
    let rollout = ["rollout", "status", "deployment/podium", "--timeout=120s"];
    bed.kubectl(&rollout).unwrap();
}

/// Stores what the example's data Job delivers.
fn store_rows(bed: &Bed) {
    let given = std::env::var_os(ROWS_VARIABLE).map(PathBuf::from);
    let folder = given.unwrap_or_else(|| bed.directory());
    let store = ObjectStore::of_testbed(bed).at("fraud");
    for (name, first_day) in ROWS {
        let file = folder.join(name);
        if !file.exists() {
            figure(
                "rows of the whole chain",
                &format!("{name} is SIMULATED: {ROWS_VARIABLE} names no folder that holds it"),
            );
            let out = file.display().to_string();
            let simulate = ["simulate", "transactions", "--first-day", first_day];
            run(
                &program(),
                &[&simulate[..], &["--out", &out]].concat(),
                None,
            )
            .unwrap();
        }
        store.put(name, &file);
    }
    let unlabelled = bed.directory().join("unlabelled.parquet");
    without_labels(&folder.join("holdout.parquet"), &unlabelled);
    store.put("unlabelled.parquet", &unlabelled);
}

/// Writes the same rows without their labels.
fn without_labels(rows: &Path, out: &Path) {
    let rows = ParquetRecordBatchReaderBuilder::try_new(File::open(rows).unwrap()).unwrap();
    let names = rows.schema().fields().iter().map(|field| field.name());
    let kept: Vec<String> = names
        .filter(|name| !LABELS.contains(&name.as_str()))
        .cloned()
        .collect();
    let kept = ProjectionMask::columns(rows.parquet_schema(), kept.iter().map(String::as_str));
    let rows = rows.with_projection(kept).build().unwrap();
    let out = File::create(out).unwrap();
    let mut writer = ArrowWriter::try_new(out, rows.schema(), None).unwrap();
    for batch in rows {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.close().unwrap();
}

/// Where the alias `champion` points; `None` also when MLflow does not answer now.
async fn champion(registry: &MlflowRegistry) -> Option<String> {
    let view = registry.view(MODEL).await.ok()??;
    view.aliases.get("champion").cloned()
}

async fn status(bed: &Bed) -> ChampionPolicyStatus {
    let policy = bed.find::<ChampionPolicy>("fraud").await;
    policy.and_then(|policy| policy.status).unwrap_or_default()
}

/// What the policy says of the comparison by which the alias stays where it is.
async fn held(bed: &Bed) -> Option<String> {
    let status = status(bed).await;
    let is_held = status.phase.as_deref() == Some("Held");
    let last = status.last_evaluation.filter(|_| is_held)?;
    (last.verdict != "Superior").then_some(last.sentence)
}

/// How long the search took that was asked for, with its trials.
async fn search(bed: &Bed) -> Option<String> {
    let all = bed.api::<TuningJob>().list(&ListParams::default()).await;
    let mut all = all.ok()?.items.into_iter();
    let search = all.find(|search| search.name_any().starts_with("fraud-now-"))?;
    let status = search.status?;
    let (began, ended) = (status.start_time?.0, status.completion_time?.0);
    let seconds = ended.as_second() - began.as_second();
    let succeeded = status.trials?.succeeded;
    Some(format!(
        "{seconds} s of it the search, {succeeded} trials of which succeeded"
    ))
}

#[test]
fn from_run_now_to_the_moved_alias() {
    on_bed("figures-chain", async |bed| {
        let registry = mlflow_registry(&Mlflow::of_testbed().url);
        let view = registry.view(MODEL).await.unwrap();
        assert!(view.is_none(), "{MODEL} is there already: take a new bed");
        install(&bed);
        store_rows(&bed);
        for file in ["1-registry", "2-first-version", "3-policy"] {
            let path = format!("examples/fraud-champion/{file}.yaml");
            bed.kubectl(&["apply", "-f", &path]).unwrap();
        }
        let mut first = None;
        bed.wait(240, "the first version is champion", async || {
            first = champion(&registry).await;
            let status = status(&bed).await;
            first.is_some() && status.champion.is_some() && status.in_flight.is_none()
        })
        .await;

        let began = Instant::now();
        let asked = ["run-now", "fraud", "-n", &bed.namespace];
        run(&program(), &asked, None).unwrap();
        let mut stays = None;
        bed.wait(900, "the alias has moved", async || {
            // Whoever looks takes time from those who are looked at.
            tokio::time::sleep(Duration::from_millis(400)).await;
            stays = held(&bed).await;
            let now = champion(&registry).await;
            stays.is_some() || (now.is_some() && now != first)
        })
        .await;
        let seconds = began.elapsed().as_secs_f64();

        // It is written after the alias has moved.
        bed.wait(60, "the search and the verdict are told", async || {
            search(&bed).await.is_some() && status(&bed).await.last_evaluation.is_some()
        })
        .await;
        let said = match stays {
            Some(sentence) => format!("and the alias STAYS: {sentence}"),
            None => status(&bed).await.last_evaluation.unwrap().sentence,
        };
        figure(
            "the whole chain in pods",
            &format!("{seconds:.1} s, {}; {said}", search(&bed).await.unwrap()),
        );
    });
}
