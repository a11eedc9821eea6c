//! `podium run --watch`: a run that stays when nothing is left to do.

use super::Failure;
use super::progress::Progress;
use super::run::{advance, lines_of};
use crate::local::session::{Pass, Session};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The directory is looked at so often.
const LOOK: Duration = Duration::from_secs(1);

/// Works on a directory until somebody asks it to end.
pub(super) async fn watch(
    directory: &Path,
    podium: PathBuf,
    prune: bool,
    interrupted: impl Future<Output = ()>,
) -> Result<ExitCode, Failure> {
    let (mut session, intake) = Session::begin_watching(directory, podium, prune).await?;
    let mut progress = Progress::new();
    progress.note(&lines_of(&intake));
    let failed = tokio::select! {
        biased;
        () = interrupted => None,
        failed = go_on(&mut session, &mut progress) => Some(failed),
    };
    progress.finish();
    let stopped = session.stop_trials().await;
    match failed {
        None => {
            let stopped = stopped?;
            eprintln!("ended: {stopped} running trials were ended; the next run repeats them");
            Ok(ExitCode::SUCCESS)
        }
        // What cannot be stored any more must not go on either; the first error is the one to tell.
        Some(error) => Err(error),
    }
}

/// Goes on until nothing can be stored any more; why.
async fn go_on(session: &mut Session, progress: &mut Progress) -> Failure {
    let mut looked = Instant::now();
    loop {
        if let Err(error) = step(session, progress, &mut looked).await {
            return error;
        }
    }
}

async fn step(
    session: &mut Session,
    progress: &mut Progress,
    looked: &mut Instant,
) -> Result<(), Failure> {
    match advance(session, progress).await? {
        Pass::Acted => {}
        Pass::Waiting { look_again } => {
            let pause = look_again.map_or(LOOK, |at| at.min(LOOK));
            session.wait(Some(pause)).await?;
        }
        Pass::Settled => session.wait(Some(LOOK)).await?,
    }
    if looked.elapsed() >= LOOK {
        *looked = Instant::now();
        if let Some(intake) = session.take_in_edits().await? {
            progress.note(&lines_of(&intake));
        }
    }
    Ok(())
}
