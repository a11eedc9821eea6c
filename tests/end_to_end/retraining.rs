//! `podium run --watch`: schedules are kept, requests are answered, edits are taken in, and a signal ends it in order.

use crate::policies::{alias, call, manifests, policy, predictions};
use crate::project::{Finished, Project, podium, search};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::process::{Child, Command};

/// A trial that leaves a model.
const TRAIN: &str = r#"D="out/$PODIUM_TUNING_JOB/$PODIUM_TRIAL"; mkdir -p "$D"; echo m > "$D/model"
echo '{"metrics": {"loss": 1}}' > "$PODIUM_TERMINATION_MESSAGE_PATH""#;

/// A schedule that was not due for half an hour, and will not be for another one.
fn half_past() -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    format!("{} * * * *", (now.minute() + 30) % 60)
}

/// `spec.retrain` with searches of one trial that runs this script.
fn retrain(script: &str) -> Value {
    let container = json!({"name": "train", "image": "none", "command": ["sh", "-c", script]});
    json!({
        "schedule": half_past(),
        "tuningJobTemplate": {"spec": {
            "maxTrials": 1,
            "objective": {"direction": "Minimize", "metric": "loss"},
            "parameters": [{"name": "x", "real": {"min": 0, "max": 1}}],
            "trial": {
                "outputURI": "file://out/$(PODIUM_TUNING_JOB)/$(PODIUM_TRIAL)",
                "job": {"template": {"spec": {"containers": [container]}}},
            },
        }},
    })
}

fn apply(project: &Project, retrain: &Value) {
    let text = policy("p", &format!("  retrain: {retrain}"));
    project.write("all.yaml", &manifests(&text));
}

/// A champion, no challenger, and a policy that retrains; the next version that is registered is better.
fn project(retrain: &Value) -> Project {
    let project = crate::policies::project("");
    fs::remove_file(project.path().join("registry/m/aliases/challenger")).unwrap();
    project.write("pred/v4.csv", &predictions(0, 900, 0.6, 37));
    apply(&project, retrain);
    project
}

/// A run that stays.
struct Watching<'a> {
    project: &'a Project,
    child: Child,
}

impl<'a> Watching<'a> {
    fn start(project: &'a Project) -> Self {
        let log = |name: &str| File::create(project.path().join(name)).unwrap();
        let child = podium()
            .args(["run", "--watch"])
            .arg(project.path())
            .stdout(log("out.log"))
            .stderr(log("err.log"))
            .spawn()
            .unwrap();
        Self { project, child }
    }

    fn said(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.project.path().join(name)).unwrap();
        read("out.log") + &read("err.log")
    }

    fn until(&self, what: &str, met: impl Fn() -> bool) {
        for _ in 0..1200 {
            if met() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("waited a minute in vain until {what}: {}", self.said());
    }

    /// Waits until the loop of the policy says this.
    fn until_says(&self, reason: &str) {
        let says = || ready(self.project).is_some_and(|said| said["reason"] == reason);
        self.until(&format!("it says {reason}"), says);
    }

    fn ended(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(&id).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        assert_eq!(code, Some(0), "{}", self.said());
        assert!(self.said().contains("ended: "), "{}", self.said());
        while !self.project.processes().is_empty() {
            std::thread::yield_now();
        }
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The condition `RetrainReady` of the policy.
fn ready(project: &Project) -> Option<Value> {
    let policy = project.objects("championpolicies").pop()?;
    let conditions = policy["status"]["conditions"].as_array()?.clone();
    conditions.into_iter().find(|c| c["type"] == "RetrainReady")
}

fn names(project: &Project) -> Vec<String> {
    let searches = project.objects("tuningjobs");
    let names = searches.iter().map(|s| s["metadata"]["name"].as_str());
    names.map(|name| name.unwrap().to_string()).collect()
}

fn run_now(project: &Project) -> Finished {
    let asked = call(project, &["run-now", "p"]);
    assert_eq!(asked.code, Some(0), "{}", asked.err);
    asked
}

#[test]
fn a_request_starts_one_search_whose_winner_is_promoted() {
    let project = project(&retrain(TRAIN));
    let watching = Watching::start(&project);
    watching.until_says("Scheduled");
    assert_eq!(names(&project), Vec::<String>::new());
    let asked = run_now(&project);
    watching.until("version 4 is champion", || {
        alias(&project, "champion") == "4"
    });
    let search = project.only("tuningjobs");
    let name = search["metadata"]["name"].as_str().unwrap();
    assert!(asked.out.contains(&format!("`{name}`")), "{}", asked.out);
    assert_eq!(search["metadata"]["ownerReferences"][0]["name"], "p");
    assert_eq!(
        search["metadata"]["labels"]["podium.dev/champion-policy"],
        "p"
    );
    assert_eq!(search["status"]["registered"]["alias"], "challenger");
    let answered = || {
        let policy = project.only("championpolicies");
        policy["status"]["retrain"]["lastRunNow"]
            == search["metadata"]["annotations"]["podium.dev/run-now"]
    };
    watching.until("the request is answered", answered);
    let requests = project.path().join(".podium/run-now");
    watching.until("it is removed", || {
        fs::read_dir(&requests).unwrap().next().is_none()
    });
    watching.ended();

    // What was answered stays so, and a second request is another one.
    let watching = Watching::start(&project);
    watching.until_says("Scheduled");
    run_now(&project);
    watching.until("another search has ended", || {
        let searches = project.objects("tuningjobs");
        let ended = searches
            .iter()
            .filter(|s| s["status"]["phase"] == "Succeeded");
        ended.count() == 2
    });
    let others = crate::project::search(1, "true").replace("toy", name);
    project.write("mine.yaml", &others);
    watching.until("its name is taken", || {
        watching.said().contains(
            "must be another one: the object of this name was made by the ChampionPolicy \"p\"",
        )
    });
    watching.ended();
    let searches = project.objects("tuningjobs");
    let is_the_first = |search: &&Value| search["metadata"]["name"] == *name;
    let first = searches.iter().find(is_the_first).unwrap();
    assert_eq!(first["metadata"]["ownerReferences"][0]["name"], "p");
}

/// The policy as if it had been there for an hour.
fn age_by_an_hour(project: &Project) {
    let file = project.path().join(".podium/state/championpolicies/p.yaml");
    let mut policy = project.only("championpolicies");
    let hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    policy["metadata"]["creationTimestamp"] = json!(hour_ago.to_string());
    policy["status"]["retrain"]["scheduleSince"] = json!(hour_ago.to_string());
    fs::write(file, policy.to_string()).unwrap();
}

#[test]
fn a_time_that_passed_while_nobody_watched_is_made_up_for_once() {
    let project = project(&retrain(TRAIN));
    let watching = Watching::start(&project);
    watching.until_says("Scheduled");
    watching.ended();
    age_by_an_hour(&project);
    let watching = Watching::start(&project);
    watching.until("the winner is champion", || {
        alias(&project, "champion") == "4"
    });
    let search = project.only("tuningjobs");
    let time = &search["metadata"]["annotations"]["podium.dev/scheduled-time"];
    let known = || {
        let policy = project.only("championpolicies");
        policy["status"]["retrain"]["lastScheduleTime"] == *time
    };
    watching.until("it is known", known);
    watching.ended();
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    assert_eq!(names(&project), [format!("p-{}", time.as_second() / 60)]);
    let passed = jiff::Timestamp::now().duration_since(time).as_secs();
    assert!((29 * 60..32 * 60).contains(&passed), "{passed}");
    // As if its history had been cleared: the status remembers.
    let deleted = call(&project, &["delete", "tj", &names(&project)[0]]);
    assert_eq!(deleted.code, Some(0), "{}", deleted.err);
    let watching = Watching::start(&project);
    watching.until_says("Scheduled");
    let asked = run_now(&project);
    watching.until("the request is answered", || !names(&project).is_empty());
    assert!(asked.out.contains(&names(&project)[0]), "{}", asked.out);
    watching.ended();
    assert_eq!(names(&project).len(), 1);
}

#[test]
fn a_template_is_refused_when_it_is_applied_and_the_policy_goes_on() {
    let mut wrong = retrain(TRAIN);
    wrong["tuningJobTemplate"]["spec"]["maxTrails"] = json!(3);
    let project = project(&wrong);
    let watching = Watching::start(&project);
    watching.until_says("InvalidTemplate");
    let message = ready(&project).unwrap()["message"].clone();
    let said = "spec.retrain.tuningJobTemplate.spec.maxTrails: must be left out: a TuningJob has no such field";
    assert_eq!(message, said);
    let asked = run_now(&project);
    assert!(asked.out.contains(said), "{}", asked.out);
    // Version 4 comes from elsewhere.
    project.write("registry/m/versions/4/version.yaml", "source: by hand\n");
    project.write("registry/m/versions/4/files/model.bin", "4");
    project.write("registry/m/aliases/challenger", "4\n");
    let mut edited = wrong;
    edited["failedHistoryLimit"] = json!(2);
    apply(&project, &edited);
    watching.until("version 4 is champion", || {
        alias(&project, "champion") == "4"
    });
    assert_eq!(names(&project), Vec::<String>::new());
    apply(&project, &retrain(TRAIN));
    watching.until("the request is answered", || names(&project).len() == 1);
    watching.ended();
}

#[test]
fn another_search_replaces_one_that_goes_on_and_ends_what_runs_of_it() {
    let mut replacing = retrain("touch started-$PODIUM_TUNING_JOB; exec sleep 600");
    replacing["concurrencyPolicy"] = json!("Replace");
    let project = project(&replacing);
    let watching = Watching::start(&project);
    watching.until_says("Scheduled");
    let runs = |name: &str| project.path().join(format!("started-{name}")).exists();
    run_now(&project);
    watching.until("the first one runs", || {
        names(&project).first().is_some_and(|name| runs(name))
    });
    let first = names(&project).remove(0);
    let asked = run_now(&project);
    assert!(
        asked.out.contains(&format!("It replaces `{first}`.")),
        "{}",
        asked.out
    );
    watching.until("the second one runs", || {
        let names = names(&project);
        names.len() == 1 && names[0] != first && runs(&names[0])
    });
    let own = format!("runs/{first}-1");
    watching.until("nothing of the first one runs", || {
        !project
            .processes()
            .iter()
            .any(|process| process.contains(&own))
    });
    assert_eq!(project.objects("trials").len(), 1);
    watching.ended();
}

#[test]
fn manifests_are_taken_in_while_it_stays_and_a_slip_of_the_pen_ends_nothing() {
    let hang = "touch started; exec sleep 600";
    let project = Project::with_search(1, hang);
    let watching = Watching::start(&project);
    watching.until("the trial runs", || project.path().join("started").exists());
    project.write(
        "other.yaml",
        &search(1, "touch other").replace("toy", "other"),
    );
    watching.until("another search is taken in", || {
        project.path().join("other").exists()
    });
    project.replace("search.yaml", "maxTrials: 1", "maxTrials: many");
    watching.until("the slip is told", || {
        watching.said().contains("spec.maxTrials")
    });
    assert!(watching.said().contains("goes on as it is stored"));
    let runs = || project.processes().iter().any(|p| p.contains("runs/toy-1"));
    assert!(runs());
    fs::remove_file(project.path().join("search.yaml")).unwrap();
    watching.until("it is left alone", || {
        watching.said().contains("has no manifest any more")
    });
    assert!(!runs(), "its trial was ended");
    watching.ended();
    assert_eq!(project.objects("tuningjobs").len(), 2);
}
