//! Runs: started once per attempt, observed until their end, ended on demand.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use podium_api::TRIAL_LABEL;
use podium_api::tuning_job::JobMetadata;
use podium_core::tuning::trial::Exit;
use podium_operator::ports::{EndedRun, Run, RunId, RunRequest, TrialRunner};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A runner, the Job that runs a script in its world, and the object that owns all runs.
pub struct Case<R> {
    pub runner: R,
    pub job: fn(&str) -> Value,
    pub owner: Option<OwnerReference>,
}

/// What is to be run.
struct Work {
    job: Value,
    template: PodTemplateSpec,
}

impl<R: TrialRunner> Case<R> {
    fn work(&self, script: &str) -> Work {
        Work::of((self.job)(script))
    }

    fn request<'a>(&self, work: &'a Work, attempt: u32) -> RunRequest<'a> {
        RunRequest {
            name: "forest-1".to_string(),
            attempt,
            job: work.job.as_object().unwrap(),
            template: &work.template,
            container: None,
            variables: BTreeMap::from([("depth".to_string(), "7".to_string())]),
            tracking: None,
            deadline_seconds: Some(60),
            owner: self.owner.clone(),
            labels: BTreeMap::from([(TRIAL_LABEL.to_string(), "forest-1".to_string())]),
            job_metadata: JobMetadata::default(),
        }
    }

    async fn start(&self, work: &Work, attempt: u32) {
        let request = self.request(work, attempt);
        self.runner.start(&request).await.unwrap();
    }

    fn id(&self, attempt: u32) -> RunId<'_> {
        RunId {
            name: "forest-1",
            attempt,
            owner: self.owner.as_ref().map(|owner| owner.uid.as_str()),
        }
    }

    async fn observe(&self, attempt: u32) -> Run {
        self.runner.observe(self.id(attempt)).await.unwrap()
    }

    /// What the run is once `holds`.
    async fn until(&self, attempt: u32, holds: impl Fn(&Run) -> bool) -> Run {
        let mut last = None;
        for _ in 0..600 {
            let run = self.observe(attempt).await;
            if holds(&run) {
                return run;
            }
            last = Some(run);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("waited a minute in vain; it is {last:?}");
    }

    async fn end_of(&self, attempt: u32) -> EndedRun {
        match self
            .until(attempt, |run| matches!(run, Run::Ended(_)))
            .await
        {
            Run::Ended(ended) => ended,
            other => panic!("it has not ended: {other:?}"),
        }
    }
}

impl Work {
    fn of(job: Value) -> Self {
        let template = serde_json::from_value(job["template"].clone()).unwrap();
        Self { job, template }
    }
}

const REPORT: &str =
    "printf done > ${PODIUM_TERMINATION_MESSAGE_PATH:-/dev/termination-log}; exit 3";

pub async fn a_run_ends_with_its_code_and_message_or_log(case: &Case<impl TrialRunner>) {
    assert_eq!(case.observe(1).await, Run::Absent);
    case.start(&case.work(REPORT), 1).await;
    let ended = case.end_of(1).await;
    assert_eq!(ended.exit, Exit::Code(3));
    assert_eq!(ended.message.text.as_deref(), Some("done"));
    assert!(ended.started.0 > 0 && ended.ended.0 >= ended.started.0);
    case.start(&case.work("echo depth $depth; exit 4"), 2).await;
    let ended = case.end_of(2).await;
    assert_eq!(ended.exit, Exit::Code(4));
    assert!(ended.log_tail.contains("depth 7"), "{}", ended.log_tail);
}

pub async fn starting_an_attempt_twice_starts_it_once(case: &Case<impl TrialRunner>) {
    let work = case.work("echo again; sleep 0.3; exit 1");
    for _ in 0..3 {
        case.start(&work, 1).await;
    }
    let first = case.end_of(1).await;
    case.start(&work, 1).await;
    assert_eq!(case.end_of(1).await, first);
    assert_eq!(first.log_tail.matches("again").count(), 1);
}

pub async fn attempts_are_runs_of_their_own(case: &Case<impl TrialRunner>) {
    let work = case.work("exit 0");
    case.start(&work, 1).await;
    case.end_of(1).await;
    assert_eq!(case.observe(2).await, Run::Absent);
    case.start(&work, 2).await;
    assert_eq!(case.end_of(2).await.exit, Exit::Code(0));
}

pub async fn a_run_that_goes_on_too_long_is_ended(case: &Case<impl TrialRunner>) {
    let work = case.work("exec sleep 600");
    let request = RunRequest {
        deadline_seconds: Some(1),
        ..case.request(&work, 1)
    };
    case.runner.start(&request).await.unwrap();
    assert_eq!(case.end_of(1).await.exit, Exit::DeadlineExceeded);
}

pub async fn a_run_is_stopped_and_stopping_nothing_is_fine(case: &Case<impl TrialRunner>) {
    case.runner.stop(case.id(1)).await.unwrap();
    case.start(&case.work("exec sleep 600"), 1).await;
    let running = |run: &Run| matches!(run, Run::Running { .. });
    case.until(1, running).await;
    case.runner.stop(case.id(1)).await.unwrap();
    let over = |run: &Run| matches!(run, Run::Absent | Run::Ended(_));
    // Nobody asks any more how it ended, so it may be forgotten; it has neither ended well nor by itself.
    if let Run::Ended(ended) = case.until(1, over).await {
        let by_force = matches!(ended.exit, Exit::Infrastructure(_) | Exit::Signal(_));
        assert!(by_force, "{:?}", ended.exit);
    }
}

pub async fn a_template_that_cannot_run_is_refused_in_words(case: &Case<impl TrialRunner>) {
    let none = Work::of(json!({"template": {"spec": {"containers": []}}}));
    let asked = case.runner.dry_run(&case.request(&none, 1)).await;
    let refusal = asked.unwrap().unwrap();
    assert!(refusal.contains("spec.containers"), "{refusal}");
    let fine = case.work("true");
    let asked = case.runner.dry_run(&case.request(&fine, 1)).await;
    assert_eq!(asked.unwrap(), None);
    assert_eq!(case.observe(1).await, Run::Absent, "asking has started it");
}
