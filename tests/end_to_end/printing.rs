//! What is printed: to a reader who goes away, onto a full disk, and from trials that print for terminals.

use crate::project::{Finished, Project, SQUARE, ended, podium};
use std::fs::File;
use std::process::Stdio;

/// Runs `podium` with a standard output that cannot be written.
fn onto_a_full_disk(arguments: &[&str]) -> Finished {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let run = podium()
        .args(arguments)
        .stdout(full)
        .stderr(Stdio::piped())
        .output();
    run.unwrap().into()
}

/// Runs `podium` with a standard output and a standard error that nobody reads.
fn to_nobody(arguments: &[&str]) -> Option<i32> {
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let run = podium()
        .args(arguments)
        .stdout(closed())
        .stderr(closed())
        .status();
    run.unwrap().code()
}

#[test]
fn every_command_ends_in_order_when_its_output_cannot_be_written() {
    let project = Project::with_search(2, SQUARE);
    let at = project.path().display().to_string();
    // A run goes on: what it prints is not what it does.
    let run = onto_a_full_disk(&["run", &at]);
    let succeeded = &project.only("tuningjobs")["status"]["trials"]["succeeded"];
    assert_eq!(*succeeded, 2);
    let commands: [&[&str]; 7] = [
        &["run", &at],
        &["get", "trials", "-d", &at],
        &["get", "trials", "-d", &at, "-o", "json"],
        &["get", "trials", "-d", &at, "-o", "yaml"],
        &["crds"],
        &["--help"],
        &["get", "--help"],
    ];
    let outcomes = commands.map(onto_a_full_disk);
    for full in outcomes.iter().chain([&run]) {
        assert_eq!(full.code, Some(1), "{}", full.err);
        let expected =
            "error: cannot write to standard output: No space left on device (os error 28)\n";
        assert_eq!(full.err, expected);
    }
    for command in commands {
        assert_eq!(to_nobody(command), Some(0), "{command:?}");
    }
}

#[test]
fn what_a_trial_prints_for_a_terminal_does_not_reach_one() {
    let script = r"printf '  0%%\r 50%%\r100%%\033[31m\033]0;title\007 loss is nan\n'; exit 3";
    let project = Project::with_search(1, script);
    let run = project.run();
    let got = ended(&[
        "get",
        "trials",
        "-o",
        "wide",
        "-d",
        &project.path().display().to_string(),
    ]);
    for said in [&run.out, &run.err, &got.out] {
        let stray: Vec<char> = said
            .chars()
            .filter(|c| c.is_control() && *c != '\n')
            .collect();
        assert_eq!(stray, Vec::<char>::new(), "{said:?}");
    }
    let message = "the container exited with code 3; its last lines: 100% loss is nan";
    assert_eq!(project.only("trials")["status"]["message"], message);
    assert!(run.out.contains(message), "{}", run.out);
}

#[test]
fn control_characters_of_a_message_are_written_out() {
    let report =
        r#"printf '{"metrics": {"loss": 1}, "\\u001b[2J": 1}' > $PODIUM_TERMINATION_MESSAGE_PATH"#;
    let project = Project::with_search(1, report);
    let run = project.run();
    assert!(run.out.contains(r"\u{1b}[2J"), "{}", run.out);
    assert!(!run.out.contains('\u{1b}'), "{:?}", run.out);
}

#[test]
fn small_numbers_are_shown_with_four_digits() {
    let report =
        r#"printf '{"metrics": {"loss": 5.7912983e-8}}' > $PODIUM_TERMINATION_MESSAGE_PATH"#;
    let project = Project::with_search(1, report);
    let run = project.run();
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    for line in [
        "toy-1 Succeeded objective 5.791e-8",
        "best of 1/1: toy-1 with 5.791e-8",
        "  loss 5.791e-8",
    ] {
        assert!(run.out.contains(line), "{}", run.out);
    }
    let at = project.path().display().to_string();
    let got = ended(&["get", "tuningjobs", "-d", &at]);
    assert!(got.out.contains(" 5.791e-8 "), "{}", got.out);
}
