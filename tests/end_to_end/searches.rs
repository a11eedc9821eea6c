//! Searches as people write them: how they end, what they register, what they may say.

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
    assert!(longer.out.contains("registered as m v2"), "{}", longer.out);
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

/// A search whose parameters, objective and algorithm are these.
fn saying(parameters: &str, objective: &str, more: &str, script: &str) -> Project {
    let project = Project::new();
    let script = serde_json::to_string(script).unwrap();
    project.write(
        "search.yaml",
        &format!(
            r#"apiVersion: podium.dev/v1alpha1
kind: TuningJob
metadata: {{name: toy}}
spec:
  seed: 7
  maxTrials: 9
  maxFailedTrials: 0
{more}
  objective: {{direction: Minimize, {objective}}}
  parameters:
{parameters}
  trial:
    job: {{template: {{spec: {{containers: [{{name: train, image: none, command: [sh, -c, {script}]}}]}}}}}}
"#
        ),
    );
    project
}

const ONE: &str = "echo '{\"metrics\":{\"loss\":1}}' > $PODIUM_TERMINATION_MESSAGE_PATH";

#[test]
fn ordinal_parameters_compare_by_the_place_of_their_value() {
    let sizes = "    - {name: size, ordinal: {values: [small, medium, large]}}
    - {name: other, ordinal: {values: [small, medium, large]}}
    - {name: extra, integer: {min: 1, max: 2}, when: 'size > \"medium\"'}
  parameterConstraints: [{expression: 'other <= size'}]
  algorithm: {name: Grid}";
    let project = saying(sizes, "metric: loss", "", ONE);
    assert_eq!(project.run().code, Some(0));
    let mut tried: Vec<String> = project
        .objects("trials")
        .iter()
        .map(|trial| trial["spec"]["parameters"].to_string())
        .collect();
    tried.sort();
    assert_eq!(tried.len(), 9);
    assert_eq!(
        tried
            .iter()
            .filter(|one| one.contains("\"size\":\"large\""))
            .count(),
        6
    );
    assert!(
        tried
            .iter()
            .all(|one| one.contains("extra") == one.contains("\"size\":\"large\"")),
        "{tried:?}"
    );
    let unknown = sizes.replace("\"medium\"", "\"huge\"");
    let refused = saying(&unknown, "metric: loss", "", ONE).run();
    assert_eq!(refused.code, Some(1));
    let said = format!("{}{}", refused.out, refused.err);
    let expected = "spec.parameters[2].when: `when` compares `size` with 'huge', which is none of its `values`";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn initial_trials_are_tried_or_refused_by_path_and_value() {
    let parameters = "    - {name: x, integer: {min: 1, max: 9}}
    - {name: kind, categorical: {values: [a, b]}}";
    let first = "  initialTrials: [{x: 3, kind: b}, {x: 4}]";
    let project = saying(parameters, "metric: loss", first, ONE);
    assert_eq!(project.run().code, Some(0));
    let trials = project.objects("trials");
    let of = |name: &str| {
        let trial = trials
            .iter()
            .find(|trial| trial["metadata"]["name"] == name);
        trial.unwrap()["spec"].clone()
    };
    assert_eq!(
        of("toy-1")["parameters"].to_string(),
        "{\"kind\":\"b\",\"x\":3}"
    );
    assert_eq!(of("toy-2")["parameters"]["x"], 4);
    assert_eq!(of("toy-2")["origin"], "Initial");
    let first = "  initialTrials: [{x: 3, kind: b}, {x: 12}, {kind: b, x: 3.0}, {y: 1}]";
    let refused = saying(parameters, "metric: loss", first, ONE);
    let finished = refused.run();
    assert_eq!(finished.code, Some(1));
    let said = format!("{}{}", finished.out, finished.err);
    for expected in [
        "spec.initialTrials[1].x: `x` must be a whole number from 1 to 9 in steps of 1, not 12",
        "spec.initialTrials[2]: must differ from `initialTrials[0]`",
        "spec.initialTrials[3].y: `y` must be one of the `parameters`",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(refused.objects("trials").len(), 0);
}

#[test]
fn metrics_of_any_name_are_objectives_and_only_the_branch_that_is_taken_is_needed() {
    let script = "echo '{\"metrics\":{\"val/acc\":0.5,\"val-auc\":0.25}}' > $PODIUM_TERMINATION_MESSAGE_PATH";
    let parameters = "    - {name: x, integer: {min: 1, max: 2}}";
    for (objective, expected) in [
        ("metric: val/acc", 0.5),
        ("metric: val-auc", 0.25),
        (
            "expression: 'metrics[\"val/acc\"] > 0.4 ? 2 * metrics[\"val-auc\"] : loss'",
            0.5,
        ),
    ] {
        let project = saying(parameters, objective, "", script);
        let finished = project.run();
        assert_eq!(
            finished.code,
            Some(0),
            "{objective}: {}{}",
            finished.out,
            finished.err
        );
        assert_eq!(
            project.only("tuningjobs")["status"]["best"]["objective"],
            expected
        );
    }
    let other = "expression: 'metrics[\"val/acc\"] < 0.4 ? 2 * metrics[\"val-auc\"] : loss'";
    let project = saying(parameters, other, "", script);
    assert_eq!(project.run().code, Some(1));
    let said = project.only("trials")["status"]["message"].clone();
    assert_eq!(
        said,
        "the trial must report the metric `loss`; it reported `val-auc`, `val/acc`"
    );
}

#[test]
fn what_an_expression_or_a_report_cannot_say_is_refused_by_name() {
    let parameters = "    - {name: x, integer: {min: 1, max: 2}}";
    let mapped = "expression: 'max([loss, 1].map(v, v * 2))'";
    let finished = saying(parameters, mapped, "", ONE).run();
    let said = format!("{}{}", finished.out, finished.err);
    assert_eq!(finished.code, Some(1));
    assert!(
        said.contains("spec.objective.expression: `expression` must not use `map`"),
        "{said}"
    );
    let twice = "echo '{\"metrics\":{\"loss\":1,\"loss\":2}}' > $PODIUM_TERMINATION_MESSAGE_PATH";
    let project = saying(parameters, "metric: loss", "", twice);
    assert_eq!(project.run().code, Some(1));
    let said = project.only("trials")["status"]["message"].clone();
    assert!(
        said.as_str()
            .unwrap()
            .contains("the metric `loss` stands in it twice"),
        "{said}"
    );
}

#[test]
fn every_setting_of_hyperopt_can_be_said() {
    let parameters = "    - {name: x, real: {min: 0, max: 1}}";
    let run = |settings: &str| {
        let more =
            format!("  algorithm: {{name: Hyperopt, hyperopt: {{startupTrials: 2{settings}}}}}");
        let script = r#"echo "{\"metrics\":{\"loss\":$x}}" > $PODIUM_TERMINATION_MESSAGE_PATH"#;
        let project = saying(parameters, "metric: loss", &more, script);
        assert_eq!(project.run().code, Some(0));
        let trials = project.objects("trials");
        let tried = trials
            .iter()
            .map(|trial| trial["spec"]["parameters"].to_string());
        tried.collect::<Vec<_>>()
    };
    let plain = run("");
    assert_eq!(run(", priorWeight: 1, linearForgetting: 25"), plain);
    assert_ne!(run(", priorWeight: 50"), plain);
    assert_ne!(run(", linearForgetting: 1"), plain);
}
