//! A search of many trials: what a trial costs does not grow with how many there were.

use crate::project::{Project, SQUARE, search};
use podium_api::Trial;
use podium_operator::local::session::{Pass, Session};
use podium_operator::ports::Ports;
use std::path::PathBuf;

/// Objects of files that one more trial may have read: it is created, runs and ends, and its search reports now and then.
const READ_PER_TRIAL: u64 = 6;

#[tokio::test]
async fn a_trial_reads_no_more_files_when_there_were_many_before() {
    let project = Project::new();
    let text = search(80, SQUARE).replace("parallelism: 1", "parallelism: 4");
    project.write("search.yaml", &text);
    let podium = PathBuf::from(env!("CARGO_BIN_EXE_podium"));
    let begun = Session::begin(project.path(), podium, false).await;
    let (mut session, _) = begun.unwrap();
    let mut read_by = Vec::new();
    loop {
        let pass = session.pass().await.unwrap();
        let state = session.engine().ports().cluster();
        let trials = state.shared_list::<Trial>().unwrap();
        let ended = trials.iter().filter(|trial| {
            let status = trial.status.as_ref();
            status.is_some_and(|status| status.completion_time.is_some())
        });
        if ended.count() >= 20 * (read_by.len() + 1) {
            read_by.push(state.files_read());
        }
        match pass {
            Pass::Acted => {}
            Pass::Waiting { look_again } => session.wait(look_again).await.unwrap(),
            Pass::Settled => break,
        }
    }
    assert_eq!(read_by.len(), 4);
    for (earlier, later) in read_by.iter().zip(&read_by[1..]) {
        // As many more as may run at once can have been begun.
        assert!(later - earlier <= (20 + 4) * READ_PER_TRIAL, "{read_by:?}");
    }
    assert_eq!(project.only("tuningjobs")["status"]["phase"], "Succeeded");
    assert_eq!(session.failures().count(), 0);
}

/// What a run finds stored is taken in as if it had never stopped: the same trials follow.
#[test]
fn a_search_that_is_resumed_tries_what_it_would_have_tried() {
    let whole = Project::with_search(30, SQUARE);
    assert_eq!(whole.run().code, Some(0));
    let resumed = Project::with_search(11, SQUARE);
    assert_eq!(resumed.run().code, Some(0));
    resumed.write("search.yaml", &search(30, SQUARE));
    assert_eq!(resumed.run().code, Some(0));
    let parameters = |project: &Project| -> Vec<serde_json::Value> {
        let trials = project.objects("trials");
        trials.iter().map(|trial| trial["spec"].clone()).collect()
    };
    assert_eq!(parameters(&whole), parameters(&resumed));
}
