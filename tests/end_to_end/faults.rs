//! Runs that are killed, doubled, or cannot write.

use crate::fraud::{decided, undisturbed};
use crate::project::{Project, SQUARE, podium, skipped};
use podium_core::random::Stream;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn started(project: &Project) -> Child {
    podium()
        .arg("run")
        .arg(project.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads lines of a run until `wanted` have come; false when it ended before.
fn after_lines(child: &mut Child, wanted: usize) -> bool {
    let out = child.stdout.as_mut().unwrap();
    BufReader::new(out)
        .lines()
        .take(wanted)
        .filter(Result::is_ok)
        .count()
        == wanted
}

/// Reads until `wanted` lines have come that no run said before; false when it ended before.
fn after_news(child: &mut Child, wanted: usize, said: &mut BTreeSet<String>) -> bool {
    let out = BufReader::new(child.stdout.as_mut().unwrap());
    let news = out
        .lines()
        .map_while(Result::ok)
        .filter(|line| said.insert(line.clone()));
    news.take(wanted).count() == wanted
}

#[test]
fn a_run_killed_at_ten_random_moments_ends_like_an_undisturbed_one() {
    let project = Project::copy_of("examples/fraud");
    let mut stream = Stream::new(2026, &[]);
    let mut said = BTreeSet::new();
    for kills in 0..10 {
        let mut child = started(&project);
        // A moment after something happened: the most interesting ones lie between two writes.
        let alive = after_news(&mut child, 1 + stream.below(4), &mut said);
        for _ in 0..stream.below(3_000_000) {
            std::hint::spin_loop();
        }
        assert!(alive, "the run ended after {kills} kills");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = project.run();
    assert_eq!(last.code, Some(0), "{}{}", last.out, last.err);
    assert_eq!(decided(&project), decided(&undisturbed().0));
    let attempts =
        |trial: &serde_json::Value| trial["status"]["attempts"].as_array().unwrap().len();
    assert!(
        project
            .objects("trials")
            .iter()
            .all(|trial| attempts(trial) == 1),
        "a trial was run twice"
    );
    assert_eq!(project.processes(), Vec::<String>::new());
}

#[test]
fn a_second_run_on_the_same_directory_says_so_and_stops() {
    let project = Project::with_search(
        1,
        "while [ ! -e go ]; do sleep 0.05; done; echo '{\"metrics\":{\"loss\":1}}' > $PODIUM_TERMINATION_MESSAGE_PATH",
    );
    let mut first = started(&project);
    assert!(after_lines(&mut first, 2));
    let second = project.run();
    assert_eq!(second.code, Some(1));
    let expected = format!(
        "error: another `podium run` works on {}; wait until it ends, or stop it\n",
        project.path().display()
    );
    assert_eq!(second.err, expected);
    project.write("go", "");
    assert!(first.wait().unwrap().success());
    assert_eq!(project.only("trials")["status"]["phase"], "Succeeded");
}

#[test]
fn a_trial_whose_supervisor_is_killed_is_repeated_and_does_not_count() {
    let project = Project::with_search(
        1,
        &format!(
            "if [ ! -e once ]; then echo $$$$ > pid; mv pid once; exec sleep 600; fi; {SQUARE}"
        ),
    );
    let mut run = started(&project);
    wait_for(|| project.path().join("once").exists());
    let killed = Command::new("pkill")
        .args([
            "-9",
            "-f",
            &format!("supervise {}", project.path().display()),
        ])
        .status()
        .unwrap();
    assert!(killed.success());
    assert!(run.wait().unwrap().success());
    let trial = project.only("trials");
    assert_eq!(trial["status"]["phase"], "Succeeded");
    assert_eq!(
        trial["status"]["attempts"].as_array().unwrap().len(),
        2,
        "{trial}"
    );
    assert_eq!(project.only("tuningjobs")["status"]["trials"]["failed"], 0);
    // What the supervisor left running does not run beside the second attempt.
    let program = fs::read_to_string(project.path().join("once")).unwrap();
    let state = fs::read_to_string(format!("/proc/{}/stat", program.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

#[test]
fn an_interrupted_run_leaves_no_process_behind_and_goes_on_later() {
    let project = Project::with_search(
        2,
        &format!("touch started; [ -e go ] || sleep 600; {SQUARE}"),
    );
    let mut run = started(&project);
    wait_for(|| project.path().join("started").exists());
    interrupt(&run);
    assert_eq!(run.wait().unwrap().code(), Some(1));
    wait_for(|| project.processes().is_empty());
    project.write("go", "");
    let later = project.run();
    assert_eq!(later.code, Some(0), "{}{}", later.out, later.err);
    assert_eq!(
        project.only("tuningjobs")["status"]["trials"]["succeeded"],
        2
    );
}

/// A large stored object takes the run long enough to read that the interruption comes before its first step.
#[test]
fn a_run_that_is_interrupted_while_it_begins_starts_nothing() {
    let project = Project::with_search(1, SQUARE);
    assert_eq!(project.run().code, Some(0));
    project.write("search.yaml", &crate::project::search(2, SQUARE));
    let large = format!(
        "kind: Approval\nmetadata: {{name: large}}\nspec: {{comment: [{}]}}\n",
        "a,".repeat(3_000_000)
    );
    project.write(".podium/state/approvals/large.yaml", &large);
    let run = podium()
        .arg("run")
        .arg(project.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(|| handles_interruptions(&run));
    interrupt(&run);
    let ended = crate::project::Finished::from(run.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    let said = "interrupted: 0 running trials were ended; the next `podium run` repeats them\n";
    assert!(ended.err.ends_with(said), "{}", ended.err);
    assert_eq!(project.objects("trials").len(), 1);
}

fn handles_interruptions(run: &Child) -> bool {
    const INTERRUPT: u64 = 1 << 1;
    let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & INTERRUPT != 0)
}

/// What it is to run is a pipe at first, so that the supervisor stands still while it reads it.
#[test]
fn a_supervisor_that_is_stopped_while_it_begins_leaves_no_program() {
    let project = Project::new();
    let request = serde_json::json!({
        "command": ["sleep", "600"], "environment": {}, "workingDirectory": project.path(), "deadlineSeconds": null,
    });
    let path = project.path().join("request.json");
    make_pipe(&path);
    let mut supervisor = podium()
        .arg("supervise")
        .arg(project.path())
        .spawn()
        .unwrap();
    let mut pipe = fs::OpenOptions::new().write(true).open(path).unwrap();
    interrupt(&supervisor);
    pipe.write_all(request.to_string().as_bytes()).unwrap();
    drop(pipe);
    assert!(supervisor.wait().unwrap().success());
    let ended = fs::read_to_string(project.path().join("exit.json")).unwrap();
    assert!(ended.contains("stopped"), "{ended}");
}

fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

fn interrupt(run: &Child) {
    let interrupted = Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
}

fn wait_for(holds: impl Fn() -> bool) {
    for _ in 0..1200 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("waited a minute in vain");
}

/// A small file system of its own, unmounted at the end; absent without the right to mount one.
struct SmallDisk(Project);

impl SmallDisk {
    fn new(size: &str) -> Option<Self> {
        let project = Project::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "podium-test"])
            .arg(project.path())
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(project))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_is_half_written() {
    let Some(disk) = SmallDisk::new("512k") else {
        skipped("mounting a small disk needs root");
        return;
    };
    let project = &disk.0;
    project.write("search.yaml", &crate::project::search(6, SQUARE));
    // What is left is enough to begin and too little to end.
    let filler = project.path().join("filler");
    fs::write(&filler, vec![0; 420 << 10]).unwrap();
    let full = project.run();
    assert_eq!(full.code, Some(1), "{}{}", full.out, full.err);
    assert!(full.err.contains("No space left on device"), "{}", full.err);
    assert!(
        full.err.contains(&project.path().display().to_string()),
        "{}",
        full.err
    );
    project.objects("tuningjobs"); // Each file is whole, or the parser would fail.
    project.objects("trials");
    wait_for(|| project.processes().is_empty());
    fs::remove_file(filler).unwrap();
    let later = project.run();
    assert_eq!(later.code, Some(0), "{}{}", later.out, later.err);
    assert_eq!(project.objects("trials").len(), 6);
}

#[test]
fn a_read_only_directory_is_told() {
    let Some(disk) = SmallDisk::new("1m") else {
        skipped("mounting a disk needs root");
        return;
    };
    let project = &disk.0;
    project.write("search.yaml", &crate::project::search(2, SQUARE));
    let read_only = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(project.path())
        .status()
        .unwrap();
    assert!(read_only.success());
    let refused = project.run();
    assert_eq!(refused.code, Some(1));
    let expected = format!(
        "error: cannot write {}/.podium: Read-only file system (os error 30)\n",
        project.path().display()
    );
    assert_eq!(refused.err, expected);
}

#[test]
fn a_registry_that_cannot_be_written_stops_the_promotion_and_nothing_else() {
    let project = Project::copy_of("examples/fraud");
    let aliases = project.path().join("registry/fraud-detection/aliases");
    fs::remove_file(aliases.join("champion")).unwrap();
    fs::remove_dir(&aliases).unwrap();
    fs::write(&aliases, "not a directory").unwrap();
    fs::set_permissions(&aliases, fs::Permissions::from_mode(0o444)).unwrap();
    let failed = project.run();
    assert_eq!(failed.code, Some(1), "{}{}", failed.out, failed.err);
    let said = format!("{}{}", failed.out, failed.err);
    assert!(said.contains(&aliases.display().to_string()), "{said}");
}

/// The first run is killed before it can have recorded that its trial runs.
#[test]
fn a_run_that_was_found_running_is_followed_to_its_end() {
    let script = format!("touch started; while [ ! -e go ]; do sleep 0.05; done; {SQUARE}");
    let project = Project::with_search(1, &script);
    let mut first = started(&project);
    wait_for(|| project.path().join("started").exists());
    first.kill().unwrap();
    first.wait().unwrap();
    // As if it had been killed between the start and its record.
    let path = project.path().join(".podium/state/trials/toy-1.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let created = text.split("\nstatus:").next().unwrap();
    fs::write(&path, format!("{created}\n")).unwrap();
    let mut second = started(&project);
    assert!(after_lines(&mut second, 2));
    project.write("go", "");
    assert!(second.wait().unwrap().success());
    let trial = project.only("trials");
    assert_eq!(trial["status"]["attempts"].as_array().unwrap().len(), 1);
}
