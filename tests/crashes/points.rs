//! The write points of a search.

use crate::bed::way::Witnessed;
use crate::workloads::Workload;

/// A write of the operator, by what is sent.
#[derive(Clone, Copy)]
pub struct Point {
    pub name: &'static str,
    /// The search that comes to it.
    pub workload: Workload,
    pub what: fn(&Witnessed) -> bool,
    /// Which of the requests that are it, from 1.
    pub nth: usize,
}

fn trial_says(request: &Witnessed, phase: &str) -> bool {
    request.is("PATCH", "trials/status") && request.text("/status/phase") == phase
}

fn search_says(request: &Witnessed, kind: &str, says: &str) -> bool {
    let conditions = request.body.pointer("/status/conditions");
    let mut conditions = conditions
        .and_then(|all| all.as_array())
        .into_iter()
        .flatten();
    request.is("PATCH", "tuningjobs/status")
        && conditions.any(|condition| {
            condition["type"] == kind
                && (condition["status"] == says || condition["reason"] == says)
        })
}

fn event(request: &Witnessed, reason: &str) -> bool {
    request.is("POST", "events") && request.text("/reason") == reason
}

fn counts(request: &Witnessed) -> bool {
    let succeeded = request.body.pointer("/status/trials/succeeded");
    search_says(request, "Finished", "False") && succeeded.is_some_and(|count| count == 1)
}

fn runs_again(request: &Witnessed) -> bool {
    let lost = request.body.pointer("/status/attempts/0/reason");
    trial_says(request, "Pending") && lost.is_some()
}

/// All of them, in the order of a search.
pub const POINTS: &[Point] = {
    use Workload::{Expiring, Lost, Plain, Queued, Slow, Target};
    const fn at(
        name: &'static str,
        workload: Workload,
        nth: usize,
        what: fn(&Witnessed) -> bool,
    ) -> Point {
        Point {
            name,
            workload,
            what,
            nth,
        }
    }
    &[
        at("the lease", Plain, 1, |r| r.is("POST", "leases")),
        at("the template's check", Plain, 1, |r| {
            r.is("POST", "jobs?dryRun")
        }),
        at("the first status", Plain, 1, |r| {
            r.is("PATCH", "tuningjobs/status")
        }),
        at("the first trial", Plain, 1, |r| r.is("POST", "trials")),
        at("the second trial", Plain, 2, |r| r.is("POST", "trials")),
        at("the last trial", Plain, 3, |r| r.is("POST", "trials")),
        at("the first Job", Plain, 1, |r| r.is("POST", "jobs")),
        at("the second Job", Plain, 2, |r| r.is("POST", "jobs")),
        at("the last Job", Plain, 3, |r| r.is("POST", "jobs")),
        at("the event of a run", Plain, 1, |r| event(r, "RunStarted")),
        at("a trial waits", Queued, 1, |r| trial_says(r, "Queued")),
        at("a trial runs", Slow, 1, |r| trial_says(r, "Running")),
        at("the first result", Plain, 1, |r| trial_says(r, "Succeeded")),
        at("the last result", Plain, 3, |r| trial_says(r, "Succeeded")),
        at("the event of a result", Plain, 1, |r| {
            event(r, "TrialSucceeded")
        }),
        at("the counts", Slow, 1, counts),
        at("a lost run", Lost, 1, runs_again),
        at("the run after a lost one", Lost, 1, |r| {
            r.is("POST", "jobs") && r.name == "forest-1-2"
        }),
        at("the target is reached", Target, 1, |r| {
            search_says(r, "Ready", "TargetReached")
        }),
        at("the end of a run nobody needs", Target, 1, |r| {
            r.is("DELETE", "jobs")
        }),
        at("a trial was stopped", Target, 1, |r| {
            trial_says(r, "StoppedEarly")
        }),
        at("the end", Plain, 1, |r| search_says(r, "Finished", "True")),
        at("the event of the end", Plain, 1, |r| {
            event(r, "MaxTrialsReached")
        }),
        at("the deletion", Expiring, 1, |r| {
            r.is("DELETE", "tuningjobs")
        }),
    ]
};

/// The writes of which the loss would cost most, for two deaths in a row.
pub const DELICATE: [&str; 3] = ["the second trial", "the first Job", "the first result"];
