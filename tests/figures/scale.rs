//! Many searches in many namespaces, whose pods a stub ends.

use crate::bed::operator::Operator;
use crate::bed::webhook::{Manner, Webhook};
use crate::bed::{Bed, helm, kubectl, on_bed};
use crate::stub_kubelet::{self, StubKubelet};
use crate::{figure, process, resident_mib, wait_for};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use podium_api::{Trial, TuningJob};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const NAMESPACES: usize = 50;
const SEARCHES_PER_NAMESPACE: usize = 10;
const SEARCHES: usize = NAMESPACES * SEARCHES_PER_NAMESPACE;
const TRIALS: u32 = 8;

/// An operator of every namespace, with the rights that the chart gives for that, and namespaces to serve.
struct WholeCluster<'a> {
    bed: &'a Bed,
    namespaces: Vec<String>,
}

impl<'a> WholeCluster<'a> {
    async fn with(bed: &'a Bed, namespaces: usize) -> Self {
        kubectl(&["apply", "-f", "-"], Some(&Self::rights(bed))).unwrap();
        let namespaces = (0..namespaces)
            .map(|index| format!("{}-{index}", bed.namespace))
            .collect();
        let cluster = Self { bed, namespaces };
        for name in &cluster.namespaces {
            let namespace: Namespace =
                serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
            let all = Api::<Namespace>::all(bed.client.clone());
            all.create(&PostParams::default(), &namespace)
                .await
                .unwrap();
        }
        cluster
    }

    fn rights(bed: &Bed) -> String {
        helm(&[
            "template",
            "podium",
            "charts/podium",
            "--namespace",
            &bed.namespace,
            "--set=clusterWide=true",
            &format!("--set=fullnameOverride={}", bed.namespace),
            "--set=serviceAccount.create=false",
            "--set=serviceAccount.name=podium",
            "--show-only=templates/clusterrole.yaml",
            "--show-only=templates/clusterrolebinding.yaml",
        ])
        .unwrap()
    }

    async fn operator(&self) -> Operator {
        let operator = self.bed.dead_operator("a").await;
        let operator = operator.with("PODIUM_NAMESPACES", "*");
        operator.start_again();
        operator.until_ready(60).await;
        operator
    }

    /// Creates as many searches in each namespace, as fast as the API server takes them.
    async fn create(&self, per_namespace: usize, max_trials: u32, parallelism: u32) {
        let places = self.namespaces.iter();
        let places = places.flat_map(|place| (0..per_namespace).map(move |index| (place, index)));
        futures::stream::iter(places)
            .for_each_concurrent(16, async |(namespace, index)| {
                let search = stub_kubelet::search(&format!("s{index}"), max_trials, parallelism);
                let search: TuningJob = serde_json::from_value(search).unwrap();
                let searches = Api::<TuningJob>::namespaced(self.bed.client.clone(), namespace);
                searches
                    .create(&PostParams::default(), &search)
                    .await
                    .unwrap();
            })
            .await;
    }

    async fn searches(&self) -> Vec<TuningJob> {
        let all = Api::<TuningJob>::all(self.bed.client.clone());
        let mut searches = all.list(&ListParams::default()).await.unwrap().items;
        searches.retain(|search| {
            self.namespaces
                .contains(&search.namespace().unwrap_or_default())
        });
        searches
    }
}

impl Drop for WholeCluster<'_> {
    fn drop(&mut self) {
        let mut delete = vec!["delete", "namespaces", "--wait=false"];
        delete.extend(self.namespaces.iter().map(String::as_str));
        let _ = kubectl(&delete, None);
        let _ = kubectl(&["delete", "-f", "-"], Some(&Self::rights(self.bed)));
    }
}

fn succeeded(search: &TuningJob) -> bool {
    let status = search.status.clone().unwrap_or_default();
    status.phase.as_deref() == Some("Succeeded")
        && status.trials.is_some_and(|counts| {
            counts.succeeded == i32::try_from(TRIALS).unwrap() && counts.failed == 0
        })
}

fn cpu_seconds(operator: &Operator) -> f64 {
    process::cpu_seconds(operator.id().unwrap()).unwrap()
}

#[test]
fn five_hundred_searches_in_fifty_namespaces() {
    on_bed("figures-fleet", async |bed| {
        let cluster = WholeCluster::with(&bed, NAMESPACES).await;
        let operator = cluster.operator().await;
        let kubelet = StubKubelet::of(bed.client.clone(), Duration::ZERO);
        operator.way.forget();
        let computed = cpu_seconds(&operator);
        let began = Instant::now();
        cluster.create(SEARCHES_PER_NAMESPACE, TRIALS, 2).await;
        let created = began.elapsed();
        let mut ended = 0;
        bed.wait(
            900,
            "all searches have succeeded with all their trials",
            async || {
                tokio::time::sleep(Duration::from_secs(2)).await;
                ended = cluster
                    .searches()
                    .await
                    .iter()
                    .filter(|search| succeeded(search))
                    .count();
                ended == SEARCHES
            },
        )
        .await;
        let took = began.elapsed().as_secs_f64();
        let cores = (cpu_seconds(&operator) - computed) / took;
        drop(kubelet);
        let trials = Api::<Trial>::all(bed.client.clone());
        let trials = trials
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len();
        let posts = operator.writes();
        let posts = posts
            .iter()
            .filter(|write| write.is("POST", "jobs"))
            .count();
        figure(
            "500 searches of 8 trials in 50 namespaces",
            &format!(
                "created in {:.1} s, {ended} ended well in {took:.0} s, {:.1} trials/s, {trials} trials and {posts} requests for Jobs, {cores:.2} cores, {:.1} MiB",
                created.as_secs_f64(),
                f64::from(TRIALS) * SEARCHES as f64 / took,
                resident_mib(&operator)
            ),
        );
    });
}

#[test]
fn restart_with_five_hundred_searches() {
    on_bed("figures-fleet-restart", async |bed| {
        let cluster = WholeCluster::with(&bed, NAMESPACES).await;
        let operator = cluster.operator().await;
        cluster.create(SEARCHES_PER_NAMESPACE, TRIALS, 1).await;
        let waits = |search: &TuningJob| {
            let status = search.status.clone().unwrap_or_default();
            status
                .trials
                .is_some_and(|counts| counts.queued + counts.running == 1)
        };
        bed.wait(600, "each search has a trial under way", async || {
            tokio::time::sleep(Duration::from_secs(2)).await;
            cluster
                .searches()
                .await
                .iter()
                .filter(|search| waits(search))
                .count()
                == SEARCHES
        })
        .await;
        operator.kill();
        // A new generation of each must be told on it, so that what the operator has seen can be seen.
        let all = futures::stream::iter(cluster.searches().await);
        all.for_each_concurrent(16, async |search| {
            let namespace = search.namespace().unwrap();
            let searches = Api::<TuningJob>::namespaced(bed.client.clone(), &namespace);
            let patch = Patch::Merge(json!({"spec": {"maxTrials": TRIALS + 1}}));
            let name = search.name_any();
            searches
                .patch(&name, &PatchParams::default(), &patch)
                .await
                .unwrap();
        })
        .await;
        operator.way.forget();
        let began = Instant::now();
        operator.start_again();
        let first = wait_for(&operator, began, |_| true).await;
        let seen = || {
            let writes = operator.writes();
            let told = writes
                .iter()
                .filter(|write| write.resource == "tuningjobs/status");
            told.map(|write| write.path.clone())
                .collect::<BTreeSet<_>>()
        };
        bed.wait(
            120,
            "each search was told of its new generation",
            async || seen().len() == SEARCHES,
        )
        .await;
        figure(
            "restart with 500 searches, each with a trial under way",
            &format!(
                "first write after {:.1} s, all seen after {:.1} s, {:.1} MiB",
                first.as_secs_f64(),
                began.elapsed().as_secs_f64(),
                resident_mib(&operator)
            ),
        );
    });
}

/// How long a search of twenty trials, one after another, takes.
async fn time_of_one_search(bed: &Bed, namespace: &str, name: &str) -> Duration {
    let searches = Api::<TuningJob>::namespaced(bed.client.clone(), namespace);
    let search = serde_json::from_value(stub_kubelet::search(name, 20, 1)).unwrap();
    let began = Instant::now();
    searches
        .create(&PostParams::default(), &search)
        .await
        .unwrap();
    bed.wait(300, "the search has succeeded", async || {
        let search = searches.get(name).await.unwrap();
        search.status.and_then(|status| status.phase).as_deref() == Some("Succeeded")
    })
    .await;
    began.elapsed()
}

#[test]
fn one_namespace_with_a_slow_webhook_beside_another() {
    on_bed("figures-fair", async |bed| {
        let cluster = WholeCluster::with(&bed, 1).await;
        let operator = cluster.operator().await;
        let kubelet = StubKubelet::of(bed.client.clone(), Duration::ZERO);
        let quiet = cluster.namespaces[0].as_str();
        let mut alone = Vec::new();
        for round in 0..3 {
            alone.push(time_of_one_search(&bed, quiet, &format!("alone-{round}")).await);
        }
        let webhook = Webhook::of_all(&bed).await;
        webhook.answers(Manner::AllowAfter(Duration::from_secs(5)));
        for index in 0..200 {
            let search = stub_kubelet::search(&format!("busy-{index}"), 1000, 2);
            let search: TuningJob = serde_json::from_value(search).unwrap();
            bed.api()
                .create(&PostParams::default(), &search)
                .await
                .unwrap();
        }
        bed.wait(120, "the webhook is asked", async || webhook.times() > 100)
            .await;
        let mut beside = Vec::new();
        for round in 0..3 {
            beside.push(time_of_one_search(&bed, quiet, &format!("beside-{round}")).await);
        }
        let median = |times: &mut Vec<Duration>| {
            times.sort();
            times[1].as_secs_f64()
        };
        let (alone, beside) = (median(&mut alone), median(&mut beside));
        figure(
            "a search of 20 trials beside a namespace of 200 searches with a webhook of 5 s",
            &format!(
                "{alone:.1} s alone, {beside:.1} s beside, {:.2}x; the webhook was asked {} times",
                beside / alone,
                webhook.times()
            ),
        );
        drop(kubelet);
        drop(operator);
        let all = DeleteParams::default();
        bed.api::<TuningJob>()
            .delete_collection(&all, &ListParams::default())
            .await
            .unwrap();
    });
}

/// Runs as many bare Jobs of a second, ten at once, as their owner would by hand; how long they take.
async fn bare_jobs(bed: &Bed, prefix: &str, count: usize, at_once: usize) -> Duration {
    use k8s_openapi::api::batch::v1::Job;
    let jobs = bed.api::<Job>();
    let began = Instant::now();
    futures::stream::iter(0..count)
        .for_each_concurrent(at_once, async |index| {
            let mut spec = crate::bed::manifests::script_job(&one_second());
            spec["template"]["spec"]["restartPolicy"] = json!("Never");
            spec["backoffLimit"] = json!(0);
            let name = format!("{prefix}-{index}");
            let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec});
            let job: Job = serde_json::from_value(job).unwrap();
            jobs.create(&PostParams::default(), &job).await.unwrap();
            let done = kube::runtime::conditions::is_job_completed();
            kube::runtime::wait::await_condition(jobs.clone(), &name, done).await.unwrap();
        })
        .await;
    began.elapsed()
}

fn one_second() -> String {
    format!(
        "sleep 1; {}",
        crate::bed::manifests::REPORT.replace("$(rate)", "0.5")
    )
}

#[test]
fn one_second_trials_against_bare_jobs() {
    on_bed("figures-bare", async |bed| {
        const COUNT: u32 = 60;
        let operator = bed.operator("a").await;
        operator.until_ready(30).await;
        let mut took = BTreeMap::from([("bare", Vec::new()), ("podium", Vec::new())]);
        for round in 0..3 {
            let bare = bare_jobs(&bed, &format!("bare-{round}"), COUNT as usize, 10).await;
            took.get_mut("bare").unwrap().push(bare);
            let name = format!("search-{round}");
            let began = Instant::now();
            bed.apply(&crate::bed::manifests::search(
                &name,
                COUNT,
                10,
                &one_second(),
            ));
            bed.until_finished(&name, 300).await;
            took.get_mut("podium").unwrap().push(began.elapsed());
        }
        let per_minute: BTreeMap<&str, f64> = took
            .into_iter()
            .map(|(who, mut times)| {
                times.sort();
                (who, 60.0 * f64::from(COUNT) / times[1].as_secs_f64())
            })
            .collect();
        figure(
            "60 trials of a second, 10 at once, against as many bare Jobs, medians of 3",
            &format!(
                "{:.0} trials a minute, {:.0} bare Jobs a minute, {:.2}x",
                per_minute["podium"],
                per_minute["bare"],
                per_minute["podium"] / per_minute["bare"]
            ),
        );
    });
}
