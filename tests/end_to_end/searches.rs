//! Searches as people write them: how they end, and what they register.

use crate::project::{Finished, Project};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;

const REGISTRY: &str = "apiVersion: podium.dev/v1alpha1
kind: ModelRegistry
metadata: {name: models}
spec: {directory: {path: registry}}
";

/// Reports a loss that falls from trial to trial, and leaves a model.
const BETTER_EACH_TIME: &str = r#"mkdir -p out/$PODIUM_TRIAL; echo $x > out/$PODIUM_TRIAL/model; awk "BEGIN { printf \"{\\\"metrics\\\":{\\\"loss\\\":%.9f}}\", 1 / $PODIUM_TRIAL_INDEX }" > "$PODIUM_TERMINATION_MESSAGE_PATH""#;

/// A search that registers its winner as `challenger` of the model `m`; `more` is more of its specification.
fn registering(name: &str, trials: u32, script: &str, more: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!(
        r#"apiVersion: podium.dev/v1alpha1
kind: TuningJob
metadata: {{name: {name}}}
spec:
  seed: 7
  maxTrials: {trials}
{more}
  objective: {{direction: Minimize, metric: loss}}
  parameters:
    - {{name: x, real: {{min: -1, max: 1}}}}
  register: {{registryRef: {{name: models}}, model: m, alias: challenger}}
  trial:
    outputURI: file://out/$(PODIUM_TRIAL)
    job: {{template: {{spec: {{containers: [{{name: train, image: none, command: [sh, -c, {script}]}}]}}}}}}
"#
    )
}

struct Searches(Project);

impl Searches {
    fn new() -> Self {
        let project = Project::new();
        project.write("registry.yaml", REGISTRY);
        Self(project)
    }

    fn search(&self, name: &str, trials: u32) {
        let text = registering(name, trials, BETTER_EACH_TIME, "");
        self.0.write(&format!("{name}.yaml"), &text);
    }

    fn without(&self, name: &str) {
        fs::remove_file(self.0.path().join(format!("{name}.yaml"))).unwrap();
    }

    fn run(&self) -> Finished {
        let finished = self.0.run();
        assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
        finished
    }

    fn forget(&self) {
        fs::remove_dir_all(self.0.path().join(".podium")).unwrap();
    }

    fn versions(&self) -> Vec<String> {
        let versions = fs::read_dir(self.0.path().join("registry/m/versions")).unwrap();
        let mut names: Vec<String> = versions
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn challenger(&self) -> String {
        let alias = fs::read_to_string(self.0.path().join("registry/m/aliases/challenger"));
        alias.unwrap_or_default().trim().to_owned()
    }

    fn job(&self, name: &str) -> Value {
        let jobs = self.0.objects("tuningjobs");
        let found = jobs.into_iter().find(|job| job["metadata"]["name"] == name);
        found.unwrap()
    }
}

fn reason(job: &Value) -> (&str, &str, &str) {
    let conditions = job["status"]["conditions"].as_array().unwrap();
    let ready = conditions
        .iter()
        .find(|one| one["type"] == "Ready")
        .unwrap();
    let text = |value: &'static str| ready[value].as_str().unwrap();
    (
        job["status"]["phase"].as_str().unwrap(),
        text("reason"),
        text("message"),
    )
}

#[test]
fn a_search_that_goes_on_registers_its_better_winner_once() {
    let searches = Searches::new();
    searches.search("toy", 1);
    searches.run();
    assert_eq!(
        (searches.versions(), searches.challenger()),
        (vec!["1".into()], "1".into())
    );
    searches.search("toy", 3);
    let longer = searches.run();
    assert!(
        longer.out.contains("registered as version 2 of m"),
        "{}",
        longer.out
    );
    assert_eq!(searches.versions(), ["1", "2"]);
    assert_eq!(searches.challenger(), "2");
    let registered = &searches.job("toy")["status"]["registered"];
    assert_eq!(
        (&registered["trial"], &registered["version"]),
        (&"toy-3".into(), &"2".into())
    );
    let before = searches.0.everything();
    searches.run();
    assert!(
        before == searches.0.everything(),
        "the third run changed something"
    );
}

#[test]
fn a_search_whose_state_was_removed_takes_no_alias_back() {
    let searches = Searches::new();
    searches.search("old", 2);
    searches.run();
    searches.without("old");
    searches.search("young", 2);
    searches.run();
    assert_eq!(
        (searches.versions().len(), searches.challenger()),
        (2, "2".into())
    );
    searches.search("old", 2);
    searches.forget();
    searches.run();
    assert_eq!(
        (searches.versions().len(), searches.challenger()),
        (2, "2".into())
    );
    let told = searches.job("old");
    let (phase, _, message) = reason(&told);
    assert_eq!(phase, "Succeeded");
    assert!(
        message.contains("the alias `challenger` was left alone"),
        "{message}"
    );
    // Neither does it, nor the other one, from a person.
    searches.0.write("registry/m/aliases/challenger", "1\n");
    searches.forget();
    searches.run();
    assert_eq!(
        (searches.versions().len(), searches.challenger()),
        (2, "1".into())
    );
    // It goes on, and finds something better: that is new.
    searches.search("old", 3);
    searches.run();
    assert_eq!(
        (searches.versions().len(), searches.challenger()),
        (3, "3".into())
    );
}

/// A link that leads nowhere stands where the aliases are to be written: the version is registered, and the run ends there.
fn ended_between_the_halves() -> Searches {
    let searches = Searches::new();
    searches.search("old", 2);
    fs::create_dir_all(searches.0.path().join("registry/m")).unwrap();
    let aliases = searches.0.path().join("registry/m/aliases");
    symlink("nowhere/aliases", &aliases).unwrap();
    let ended = searches.0.run();
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    assert_eq!(searches.versions(), ["1"]);
    fs::remove_file(aliases).unwrap();
    searches
}

#[test]
fn a_run_that_ended_between_version_and_alias_is_completed() {
    let searches = ended_between_the_halves();
    searches.run();
    assert_eq!(
        (searches.versions().len(), searches.challenger()),
        (1, "1".into())
    );
}

#[test]
fn a_run_that_ended_between_version_and_alias_does_not_take_it_from_a_newer_search() {
    let searches = ended_between_the_halves();
    searches.without("old");
    let old_state = searches.0.path().join(".podium/state");
    let kept = searches.0.path().join("kept");
    fs::rename(&old_state, &kept).unwrap();
    searches.search("young", 2);
    searches.run();
    assert_eq!(searches.challenger(), "2");
    searches.without("young");
    searches.search("old", 2);
    fs::remove_dir_all(&old_state).unwrap();
    fs::rename(&kept, &old_state).unwrap();
    searches.run();
    assert_eq!(
        (searches.versions().len(), searches.challenger()),
        (2, "2".into())
    );
}

#[test]
fn a_search_whose_time_is_up_registers_its_best_and_goes_on_when_it_gets_more() {
    let searches = Searches::new();
    let script =
        format!("[ $PODIUM_TRIAL_INDEX = 1 ] || [ -e go ] || sleep 600; {BETTER_EACH_TIME}");
    let timed = |seconds: u32| {
        let more = format!("  activeDeadlineSeconds: {seconds}");
        searches
            .0
            .write("toy.yaml", &registering("toy", 3, &script, &more));
    };
    timed(2);
    searches.run();
    let job = searches.job("toy");
    let (phase, because, message) = reason(&job);
    assert_eq!((phase, because), ("Succeeded", "DeadlineExceeded"));
    assert!(
        message.contains("the best of 2 trials is toy-1; registered as version 1 of m"),
        "{message}"
    );
    assert_eq!(searches.challenger(), "1");
    searches.0.write("go", "");
    timed(600);
    searches.run();
    let job = searches.job("toy");
    assert_eq!(reason(&job).1, "MaxTrialsReached");
    assert_eq!(job["status"]["best"]["trial"], "toy-3");
    assert_eq!(
        (searches.versions().len(), searches.challenger()),
        (2, "2".into())
    );
}

#[test]
fn a_search_that_found_nothing_in_its_time_has_failed() {
    let searches = Searches::new();
    let more = "  activeDeadlineSeconds: 1";
    let text = registering("toy", 3, "sleep 600", more);
    searches.0.write("toy.yaml", &text);
    assert_eq!(searches.0.run().code, Some(1));
    let job = searches.job("toy");
    let (phase, because, _) = reason(&job);
    assert_eq!((phase, because), ("Failed", "DeadlineExceeded"));
    assert!(!searches.0.path().join("registry/m/versions").exists());
}
