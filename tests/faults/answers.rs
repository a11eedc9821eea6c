//! The API server is busy, or its answers get lost.

use crate::bed::manifests::{REPORT, search};
use crate::bed::oracle::{no_orphans, nothing_ran_twice};
use crate::bed::way::Cut;
use crate::bed::{on_bed, phase};

const WRITES: [(&str, &str); 5] = [
    ("PATCH", "tuningjobs/status"),
    ("POST", "trials"),
    ("POST", "jobs"),
    ("PATCH", "trials/status"),
    ("POST", "events"),
];

fn ends_well(name: &str, cuts: impl IntoIterator<Item = Cut>) {
    on_bed(name, async |bed| {
        let operator = bed.dead_operator("a").await;
        for cut in cuts {
            operator.way.cut(cut);
        }
        operator.start_again();
        bed.apply(&search("forest", 4, 2, REPORT));
        let job = bed.until_finished("forest", 120).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        let counts = job.status.unwrap().trials.unwrap();
        assert_eq!((counts.succeeded, counts.retried), (4, 0));
        nothing_ran_twice("forest", 4, [&operator]);
        no_orphans(&bed).await;
        assert!(operator.id().is_some(), "it got over it without an end");
    });
}

/// Each kind of write is refused more often than one request is repeated.
fn refused(code: u16) -> impl Iterator<Item = Cut> {
    WRITES
        .into_iter()
        .map(move |(method, resource)| Cut::Answer {
            method,
            resource,
            code,
            times: 6,
        })
}

#[test]
fn an_api_server_with_too_many_requests_is_asked_again() {
    ends_well("busy", refused(429));
}

#[test]
fn an_api_server_that_cannot_serve_is_asked_again() {
    ends_well("unavailable", refused(503));
}

#[test]
fn an_api_server_that_fails_is_asked_again() {
    ends_well("failing", refused(500));
}

#[test]
fn what_was_done_without_an_answer_is_not_done_again() {
    let lose = |what, times| Cut::Lose { what, times };
    ends_well(
        "lost-answers",
        [
            lose(|r| r.is("PATCH", "tuningjobs/status"), 3),
            lose(|r| r.is("POST", "trials"), 3),
            lose(|r| r.is("POST", "jobs"), 3),
            lose(|r| r.is("PATCH", "trials/status"), 3),
            lose(|r| r.is("POST", "events"), 3),
        ],
    );
}
