//! `podium run`.

use super::progress::{Progress, Snapshot, condition};
use super::watch::watch;
use super::{FAILED, Failure, HELD, intervals};
use crate::engine::evaluation::judged;
use crate::local::intake::Intake;
use crate::local::session::{Pass, Session};
use crate::ports::{Clock, Ports};
use crate::report;
use crate::runs::run_directory::RunDirectory;
use crate::runs::supervisor;
use crate::signals::shutdown_signal;
use clap::Args;
use kube::ResourceExt;
use podium_api::{ChampionPolicy, Evaluation, Trial, TuningJob};
use podium_core::champion::words::version;
use podium_core::comparison::Comparison;
use podium_core::significant::four_digits;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run the manifests of a directory on this machine, without a cluster.
///
/// Trials are processes; the objects are kept under DIR/.podium, so that a run that was interrupted goes on where it was when it is
/// started again. Ends when nothing is left to do; with --watch it stays, takes in manifests that are edited, looks at registries,
/// and keeps the schedules of policies that retrain, until SIGINT or SIGTERM.
///
/// Examples:
///   podium run examples/fraud
///   podium run --watch examples/fraud
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The directory with the manifests.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Exit with code 3 unless every policy's challenger was promoted.
    #[arg(long)]
    require_promotion: bool,
    /// Remove the objects of earlier runs that have no manifest any more, with what belongs to them.
    #[arg(long)]
    prune: bool,
    /// Stay when nothing is left to do.
    #[arg(long, conflicts_with = "require_promotion")]
    watch: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    runtime()?.block_on(async {
        // Before the first trial, which must not outlive an interrupted run.
        let interrupted = shutdown_signal()?;
        let podium = std::env::current_exe()?;
        let directory = std::path::absolute(&arguments.directory)?;
        if arguments.watch {
            return watch(&directory, podium, arguments.prune, interrupted).await;
        }
        let (mut session, intake) = Session::begin(&directory, podium, arguments.prune).await?;
        say(&intake);
        let mut progress = Progress::new();
        let finished = tokio::select! {
            biased;
            () = interrupted => None,
            settled = settle(&mut session, &mut progress) => Some(settled),
        };
        progress.finish();
        match finished {
            Some(Ok(())) => {
                if session.failures().next().is_some() {
                    // What runs although it could not be followed to its end must not be left behind.
                    session.stop_trials().await?;
                }
                let cluster = session.engine().ports().cluster();
                let snapshot = Snapshot::take(cluster, session.scope()).await?;
                let concluded = conclude(&snapshot, arguments.require_promotion);
                let everything = [conclude_intake(&intake), conclude_failures(&session)];
                Ok(match everything {
                    [true, true] => concluded,
                    _ => ExitCode::from(FAILED),
                })
            }
            Some(Err(error)) => {
                // What cannot be stored any more must not go on either; the first error is the one to tell.
                let _ = session.stop_trials().await;
                Err(error)
            }
            None => {
                let stopped = session.stop_trials().await?;
                eprintln!("interrupted: {stopped} running trials were ended; the next `podium run` repeats them");
                Ok(ExitCode::from(FAILED))
            }
        }
    })
}

pub(super) fn supervise(run: PathBuf) -> Result<ExitCode, Failure> {
    runtime()?.block_on(supervisor::supervise(&RunDirectory::at(run)))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Says what became of the manifests before anything runs.
fn say(intake: &Intake) {
    for line in lines_of(intake) {
        eprintln!("{line}");
    }
}

/// What became of manifests.
pub(super) fn lines_of(intake: &Intake) -> Vec<String> {
    let pruned = intake.pruned.iter().map(ToString::to_string);
    let left = intake.left_alone.iter().map(|left| format!("note: {left}"));
    let refused = intake.refused.iter();
    let refused = refused.map(|refused| format!("error: {refused}"));
    pruned.chain(left).chain(refused).collect()
}

/// Whether every manifest was taken in; what was said before the run is by now out of sight.
fn conclude_intake(intake: &Intake) -> bool {
    if !intake.refused.is_empty() {
        eprintln!();
        eprintln!("error: not everything was taken in:");
        for refused in &intake.refused {
            eprintln!("  {refused}");
        }
    }
    intake.refused.is_empty()
}

async fn settle(session: &mut Session, progress: &mut Progress) -> Result<(), Failure> {
    loop {
        match advance(session, progress).await? {
            Pass::Acted => {}
            Pass::Waiting { look_again } => session.wait(look_again).await?,
            Pass::Settled => return Ok(()),
        }
    }
}

/// Looks at everything that something concerns, and shows what happened.
pub(super) async fn advance(
    session: &mut Session,
    progress: &mut Progress,
) -> Result<Pass, Failure> {
    // A pass over files waits for nothing, and only a wait lets an interrupt through.
    tokio::task::yield_now().await;
    let pass = session.pass().await?;
    let news = session.take_news();
    let ports = session.engine().ports();
    let snapshot = Snapshot::take(ports.cluster(), session.scope()).await?;
    let now = ports.clock().now().0;
    let mut changed = Vec::new();
    for name in &news.trials {
        changed.extend(ports.cluster().shared::<Trial>(name)?);
    }
    progress.show(&snapshot, changed, now);
    for (key, why) in &news.failures {
        progress.failed(key, why);
    }
    Ok(pass)
}

/// Names what could not be carried out; whether everything could.
fn conclude_failures(session: &Session) -> bool {
    let mut everything = true;
    for (key, why) in session.failures() {
        eprintln!("error: {key}: {why}");
        everything = false;
    }
    everything
}

/// Prints what came out, and says it by the exit code.
fn conclude(snapshot: &Snapshot, require_promotion: bool) -> ExitCode {
    let mut failed = false;
    let mut held = false;
    for job in &snapshot.jobs {
        failed |= conclude_job(job);
    }
    for policy in &snapshot.policies {
        match conclude_policy(policy, snapshot) {
            Conclusion::Promoted => {}
            Conclusion::Held => held = true,
            Conclusion::Failed => failed = true,
        }
    }
    match (failed, held && require_promotion) {
        (true, _) => ExitCode::from(FAILED),
        (false, true) => ExitCode::from(HELD),
        (false, false) => ExitCode::SUCCESS,
    }
}

/// Prints the best parameters of a search; whether it failed.
fn conclude_job(job: &TuningJob) -> bool {
    let name = job.name_any();
    let status = job.status.clone().unwrap_or_default();
    let ready = condition(&status.conditions, "Ready");
    let message = ready
        .map(|ready| ready.message.as_str())
        .unwrap_or_default();
    let phase = status.phase.unwrap_or_default();
    println!();
    println!("{name}: {phase}: {message}");
    if let Some(best) = &status.best {
        println!(
            "best of {}: {} with {}",
            status.progress.unwrap_or_default(),
            best.trial,
            four_digits(best.objective)
        );
        let widest = best
            .parameters
            .keys()
            .map(|name| name.len())
            .max()
            .unwrap_or(0);
        for (name, value) in &best.parameters {
            println!("  {name:widest$}  {value}");
        }
        let metrics: Vec<String> = best
            .metrics
            .iter()
            .map(|(name, value)| format!("{name} {}", four_digits(*value)))
            .collect();
        println!("  {}", metrics.join(", "));
    }
    if let Some(registered) = &status.registered {
        println!(
            "registered as version {} of {}",
            registered.version, registered.model
        );
    }
    matches!(phase.as_str(), "Failed" | "Blocked")
}

enum Conclusion {
    Promoted,
    Held,
    Failed,
}

fn conclude_policy(policy: &ChampionPolicy, snapshot: &Snapshot) -> Conclusion {
    let name = policy.name_any();
    let status = policy.status.clone().unwrap_or_default();
    println!();
    let champion = status
        .champion
        .as_ref()
        .map(|champion| champion.version.clone());
    let ready = condition(&status.conditions, "Ready");
    let state = ready
        .map(|ready| ready.message.as_str())
        .unwrap_or_default();
    let last = status.last_evaluation.as_ref();
    let evaluation = last.and_then(|last| {
        snapshot
            .evaluations
            .iter()
            .find(|e| e.name_any() == last.name)
    });
    let wanted = evaluation.map(|evaluation| evaluation.spec.challenger.version.clone());
    // A sentence about a comparison of the past is not what holds now, such as after somebody moved the alias back.
    let reason = ready.map(|ready| ready.reason.as_str()).unwrap_or_default();
    let holds = |sentence: &str| {
        sentence == state || (reason == "UpToDate" && champion.is_some() && champion == wanted)
    };
    let concluded = last.filter(|last| holds(&last.sentence));
    if let Some(last) = concluded {
        if let Some(comparison) = evaluation.and_then(comparison_of) {
            print!("{}", intervals::draw(&comparison));
            for warning in &comparison.warnings {
                println!("warning: {}", report::warning(warning));
            }
        }
        println!("{}", last.sentence);
        let status = evaluation.and_then(|evaluation| evaluation.status.as_ref());
        if let Some(uri) = status.and_then(|status| status.report_uri.as_ref()) {
            println!("report: {uri}");
        }
        if let Some(why) = status.and_then(|status| status.report_message.as_ref()) {
            println!("warning: {why}");
        }
    } else {
        println!("{name}: {state}");
    }
    let without_evidence =
        condition(&status.conditions, "EvidenceComplete").is_some_and(|evidence| {
            ["EvidenceMissing", "EvaluationFailed"].contains(&evidence.reason.as_str())
        });
    let failed = without_evidence || ready.is_none_or(|ready| ready.status == "False");
    if let Some(champion) = &champion {
        // A policy that cannot be carried out may not have seen where the alias points now.
        let seen = if failed { " when it was last seen" } else { "" };
        let model = &policy.spec.model;
        println!("champion of {model}{seen}: {}", version(champion));
    }
    if failed {
        if concluded.is_some() {
            println!("{name}: {state}");
        }
        return Conclusion::Failed;
    }
    // Whoever wants to be champion is, or nobody does.
    match reason {
        "UpToDate" | "Pinned" | "Promoted" | "NoChallenger" => Conclusion::Promoted,
        _ => Conclusion::Held,
    }
}

fn comparison_of(evaluation: &Evaluation) -> Option<Comparison> {
    let status = evaluation.status.as_ref()?;
    let statistics = serde_json::from_value(status.statistics.clone()?).ok()?;
    judged(&evaluation.spec, status, &statistics).map(|judged| judged.comparison)
}
