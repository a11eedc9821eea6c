//! What must come of single situations, of all small histories, and of random ones.

mod histories;
mod world;

use super::*;
use crate::time::Timestamp;

const MINUTE: i64 = 60_000;
/// The policy is an hour old, and its schedule was due five seconds ago.
const NOW: Timestamp = Timestamp(61 * MINUTE + 5_000);
const DUE: Timestamp = Timestamp(61 * MINUTE);

fn mk_retraining(concurrency: Concurrency) -> Retraining {
    Retraining {
        policy_suspended: false,
        schedule_suspended: false,
        schedule: "* * * * * UTC".to_string(),
        concurrency,
        starting_deadline_seconds: None,
        successful_history_limit: 1,
        failed_history_limit: 1,
    }
}

fn mk_search(name: &str, minute: i64, state: SearchState) -> Search {
    Search {
        name: name.to_string(),
        occasion: Some(Occasion::Schedule(Timestamp(minute * MINUTE))),
        state,
        created: Timestamp(minute * MINUTE),
        deleting: false,
    }
}

/// A situation whose parts a test changes.
struct Case {
    retraining: Retraining,
    run_now: Option<&'static str>,
    unusable: Option<Unusable>,
    searches: Vec<Search>,
    memory: Memory,
    is_as_created: bool,
}

impl Case {
    fn new(concurrency: Concurrency) -> Self {
        let retraining = mk_retraining(concurrency);
        let seen = SeenSchedule {
            schedule: retraining.schedule.clone(),
            since: Timestamp(MINUTE),
        };
        Self {
            retraining,
            run_now: None,
            unusable: None,
            searches: Vec::new(),
            memory: Memory {
                schedule: Some(seen),
                last_schedule: Some(Timestamp(60 * MINUTE)),
                ..Memory::default()
            },
            is_as_created: true,
        }
    }

    fn plan_at(&self, now: Timestamp) -> Plan {
        let input = Input {
            policy: "fraud",
            created: Timestamp(MINUTE),
            is_as_created: self.is_as_created,
            retraining: &self.retraining,
            due: Due {
                last: Some(Timestamp(now.0 / MINUTE * MINUTE)),
                next: Some(Timestamp((now.0 / MINUTE + 1) * MINUTE)),
            },
            run_now: self.run_now,
            unusable: self.unusable.as_ref(),
            searches: &self.searches,
            memory: &self.memory,
        };
        plan(&input, now)
    }

    fn plan(&self) -> Plan {
        self.plan_at(NOW)
    }
}

fn started(plan: &Plan) -> Vec<&str> {
    plan.start.iter().map(|start| start.name.as_str()).collect()
}

fn deleted(plan: &Plan) -> Vec<(&str, Cause)> {
    let delete = plan.delete.iter();
    delete.map(|d| (d.name.as_str(), d.cause)).collect()
}

#[test]
fn a_search_is_started_for_the_last_time_that_is_due_and_named_after_it() {
    let case = Case::new(Concurrency::Forbid);
    let plan = case.plan();
    assert_eq!(started(&plan), ["fraud-61"]);
    assert_eq!(plan.memory, case.memory, "the search is not there yet");
    assert_eq!(plan.look_again_at, Some(NOW));
    let mut hours_later = case;
    let later = Timestamp(NOW.0 + 600 * MINUTE);
    assert_eq!(started(&hours_later.plan_at(later)), ["fraud-661"]);
    hours_later.retraining.starting_deadline_seconds = Some(10);
    assert_eq!(started(&hours_later.plan_at(later)), ["fraud-661"]);
}

#[test]
fn what_the_searches_tell_is_remembered_and_started_once() {
    let mut case = Case::new(Concurrency::Allow);
    case.searches = vec![mk_search("fraud-61", 61, SearchState::Active)];
    let plan = case.plan();
    assert!(!plan.acts());
    assert_eq!(plan.memory.last_schedule, Some(DUE));
    assert_eq!(plan.active, ["fraud-61"]);
    assert_eq!(plan.look_again_at, plan.next_schedule);
    case.searches.clear();
    case.memory = plan.memory;
    assert!(!case.plan().acts(), "it was deleted since");
}

#[test]
fn nothing_is_started_for_a_time_before_the_policy_or_the_schedule() {
    let mut case = Case::new(Concurrency::Allow);
    case.memory = Memory::default();
    assert_eq!(started(&case.plan()), ["fraud-61"], "as it was created");
    case.is_as_created = false;
    let plan = case.plan();
    assert!(!plan.acts(), "the schedule was added later");
    assert_eq!(plan.memory.schedule.map(|seen| seen.since), Some(NOW));
    let mut edited = Case::new(Concurrency::Allow);
    edited.retraining.schedule = "*/61 * * * * UTC".to_string();
    assert!(!edited.plan().acts());
    let mut young = Case::new(Concurrency::Allow);
    young.memory.schedule = None;
    young.memory.last_schedule = None;
    let at_creation = young.plan_at(Timestamp(MINUTE + 1));
    assert!(!at_creation.acts(), "due as it was created");
}

#[test]
fn a_time_is_given_up_after_the_deadline_and_told_once() {
    let mut case = Case::new(Concurrency::Allow);
    case.retraining.starting_deadline_seconds = Some(4);
    let plan = case.plan();
    assert!(!plan.acts());
    assert_eq!(plan.missed, Some(DUE));
    case.memory = plan.memory;
    assert_eq!(case.plan().missed, None);
    case.retraining.starting_deadline_seconds = Some(5);
    case.memory.last_missed = None;
    assert_eq!(started(&case.plan()), ["fraud-61"], "the last moment");
}

#[test]
fn what_is_due_waits_for_other_searches_or_replaces_them() {
    let others = || {
        let mut own = mk_search("by-hand", 60, SearchState::Active);
        own.occasion = None;
        vec![mk_search("fraud-60", 60, SearchState::Active), own]
    };
    let mut forbid = Case::new(Concurrency::Forbid);
    forbid.searches = others();
    forbid.retraining.starting_deadline_seconds = Some(30);
    let plan = forbid.plan();
    assert!(!plan.acts());
    assert_eq!(plan.standing.reason(), "AlreadyActive");
    assert_eq!(plan.look_again_at, Some(Timestamp(DUE.0 + 30_001)));
    let said = plan.standing.sentence(|time| time.0.to_string());
    assert_eq!(
        said,
        "the search for 3660000 waits until `by-hand` with 1 more has ended, since `spec.retrain.concurrencyPolicy` is Forbid"
    );
    let mut replace = Case::new(Concurrency::Replace);
    replace.searches = others();
    replace.searches[0].deleting = true;
    let plan = replace.plan();
    assert_eq!(deleted(&plan), [("by-hand", Cause::Replaced)]);
    assert_eq!(started(&plan), ["fraud-61"]);
    let mut allow = Case::new(Concurrency::Allow);
    allow.searches = others();
    let plan = allow.plan();
    assert_eq!((deleted(&plan).len(), started(&plan).len()), (0, 1));
}

#[test]
fn each_value_of_a_request_starts_one_search() {
    let mut case = Case::new(Concurrency::Forbid);
    case.memory.last_schedule = Some(DUE);
    case.run_now = Some("first");
    let plan = case.plan();
    assert_eq!(plan.start.len(), 1);
    let mut search = mk_search(&plan.start[0].name, 61, SearchState::Failed);
    search.occasion = Some(plan.start[0].occasion.clone());
    case.searches.push(search);
    let plan = case.plan();
    assert!(!plan.acts());
    assert_eq!(plan.memory.answered, ["first"]);
    case.memory = plan.memory;
    case.searches.clear();
    assert!(!case.plan().acts(), "its search was deleted since");
    case.run_now = Some("second");
    assert_eq!(case.plan().start.len(), 1);
    case.memory.answered.insert(0, "second".to_string());
    case.run_now = Some("first");
    assert!(!case.plan().acts(), "it comes again");
    case.run_now = Some("");
    assert!(!case.plan().acts(), "nobody asked");
}

#[test]
fn a_search_of_the_name_counts_whatever_its_annotations_say() {
    let told = [
        None,
        Some(Occasion::Schedule(Timestamp(5 * MINUTE))),
        Some(Occasion::Schedule(Timestamp(i64::MAX))),
        Some(Occasion::RunNow("another".to_string())),
    ];
    for occasion in told {
        for concurrency in [Concurrency::Allow, Concurrency::Forbid] {
            let mut case = Case::new(concurrency);
            case.run_now = Some("now");
            let asked = Occasion::RunNow("now".to_string());
            for name in ["fraud-61".to_string(), search_name("fraud", &asked)] {
                let mut search = mk_search(&name, 61, SearchState::Failed);
                search.occasion.clone_from(&occasion);
                case.searches.push(search);
            }
            case.retraining.failed_history_limit = 2;
            let plan = case.plan();
            assert!(!plan.acts(), "it would be created again and again");
            assert_eq!(plan.memory.last_schedule, Some(DUE), "{occasion:?}");
            assert_eq!(plan.memory.answered, ["now"], "{occasion:?}");
        }
    }
}

#[test]
fn a_search_that_says_it_is_of_the_future_ends_no_schedule() {
    for name in ["fraud-61".to_string(), future().1] {
        let mut case = Case::new(Concurrency::Allow);
        let mut search = mk_search(&name, 61, SearchState::Active);
        search.occasion = Some(Occasion::Schedule(future().0));
        case.searches.push(search);
        case.memory = case.plan().memory;
        let next = Timestamp(NOW.0 + MINUTE);
        assert_eq!(started(&case.plan_at(next)), ["fraud-62"], "{name}");
    }
}

/// A time in a thousand years, and the name of its search.
fn future() -> (Timestamp, String) {
    let time = Timestamp(MINUTE * 525_600_000);
    (time, search_name("fraud", &Occasion::Schedule(time)))
}

#[test]
fn a_value_is_answered_although_another_one_came_before_its_search_was_seen() {
    let mut case = Case::new(Concurrency::Allow);
    case.memory.last_schedule = Some(DUE);
    let others: Vec<String> = (0..40).map(|number| format!("value {number}")).collect();
    for (minute, value) in (0..).zip(&others) {
        let asked = Occasion::RunNow(value.clone());
        let name = search_name("fraud", &asked);
        let mut search = mk_search(&name, minute, SearchState::Active);
        search.occasion = Some(asked);
        case.searches.push(search);
    }
    case.run_now = Some("value 0");
    let plan = case.plan();
    assert!(!plan.acts());
    let known = &plan.memory.answered;
    let (newest, asked) = (others[39].clone(), others[0].clone());
    assert!(
        known.contains(&newest) && known.contains(&asked),
        "{known:?}"
    );
    case.memory = plan.memory;
    assert_eq!(case.plan().memory, case.memory, "it comes to rest");
    case.searches.clear();
    case.run_now = Some("value 39");
    assert!(!case.plan().acts(), "its search was deleted since");
}

#[test]
fn a_request_and_a_time_are_started_one_after_the_other_unless_both_may_run() {
    for (concurrency, at_once) in [
        (Concurrency::Allow, 2),
        (Concurrency::Forbid, 1),
        (Concurrency::Replace, 1),
    ] {
        let mut case = Case::new(concurrency);
        case.run_now = Some("now");
        let plan = case.plan();
        assert_eq!(plan.start.len(), at_once, "{concurrency:?}");
        assert_eq!(plan.start[0].occasion, Occasion::Schedule(DUE));
        assert_eq!(plan.look_again_at, Some(NOW));
    }
}

#[test]
fn a_suspended_schedule_starts_what_people_ask_for_and_a_suspended_policy_nothing() {
    let mut case = Case::new(Concurrency::Allow);
    case.run_now = Some("now");
    case.retraining.schedule_suspended = true;
    let plan = case.plan();
    assert_eq!(plan.start.len(), 1);
    assert!(matches!(plan.start[0].occasion, Occasion::RunNow(_)));
    assert_eq!(
        (plan.standing.reason(), plan.next_schedule),
        ("Suspended", None)
    );
    case.retraining.policy_suspended = true;
    assert!(!case.plan().acts());
    case.retraining.schedule_suspended = false;
    assert!(!case.plan().acts());
    case.retraining.policy_suspended = false;
    assert_eq!(case.plan().start.len(), 2, "both are made up for");
}

#[test]
fn an_unusable_template_starts_nothing_and_says_so_whatever_else_holds() {
    let mut case = Case::new(Concurrency::Allow);
    case.run_now = Some("now");
    case.retraining.policy_suspended = true;
    case.unusable = Some(Unusable {
        fault: Fault::Refused,
        message: "no such field".to_string(),
    });
    for suspended in [true, false] {
        case.retraining.policy_suspended = suspended;
        let plan = case.plan();
        assert!(!plan.acts());
        assert_eq!(plan.standing.reason(), "TemplateRefused");
        assert!(!plan.standing.is_ready());
    }
}

#[test]
fn ended_searches_beyond_the_limits_are_deleted_the_oldest_first() {
    let mut case = Case::new(Concurrency::Forbid);
    case.memory.last_schedule = Some(DUE);
    let succeeded = |minute: i64| SearchState::Succeeded(Timestamp(minute * MINUTE));
    case.searches = vec![
        mk_search("c", 30, succeeded(33)),
        mk_search("a", 10, succeeded(40)),
        mk_search("b", 20, succeeded(22)),
        mk_search("d", 40, SearchState::Failed),
        mk_search("e", 50, SearchState::Failed),
        mk_search("f", 60, SearchState::Active),
    ];
    let plan = case.plan();
    let history = |name| (name, Cause::History);
    assert_eq!(
        deleted(&plan),
        [history("a"), history("b"), history("d")],
        "the newest of each kind is kept"
    );
    assert_eq!(
        plan.memory.last_successful,
        Some(Timestamp(40 * MINUTE)),
        "known before it is deleted"
    );
    case.retraining.successful_history_limit = 0;
    assert_eq!(case.plan().delete.len(), 4);
}

#[test]
fn each_gate_is_asked_by_somebody_and_has_its_name() {
    for row in GATES {
        assert!(row.asked.contains(&true), "{row:?}");
        assert_eq!(format!("{:?}", row.gate), row.gate.name());
    }
}
