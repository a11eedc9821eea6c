//! `podium evaluate`.

mod arguments;
mod from;
mod in_pod;
mod numbers;
mod parts;
mod report;
#[cfg(test)]
mod tests;

pub(super) use arguments::Arguments;

use super::{Failure, HELD, address_of_uri, intervals, progress, summary};
use crate::adapters::evidence_files::EvidenceFiles;
use arguments::Output;
use podium_core::comparison::{Comparison, Naming, Verdict, sentence};
use podium_workload::evaluate::{self, Evaluated, Evidence};
use report::ByHand;
use serde::Serialize;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Resampling that takes no longer than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where no bar can be drawn, a line is printed after each of these.
const INTERVAL: Duration = Duration::from_secs(10);

/// What `-o json` prints.
#[derive(Serialize)]
struct Report<'a> {
    /// The verdict in one word.
    verdict: &'static str,
    sentence: &'a str,
    evidence: &'a Evidence,
    comparison: &'a Comparison,
}

pub(super) fn evaluate(arguments: Arguments) -> Result<ExitCode, Failure> {
    if arguments.from_environment {
        return in_pod::compare(arguments.report.as_deref());
    }
    if arguments.check_from_environment {
        return in_pod::check();
    }
    let output = arguments.output;
    let page = arguments.report.as_deref();
    let page = page.map(address_of_uri).transpose()?;
    if let Some(file) = &arguments.from {
        let verdict = from::recompute(file, &arguments.directory, page.as_deref())?;
        return Ok(exit_code(&verdict, arguments.require_superior));
    }
    let allowed_error = arguments.allowed_error;
    let require_superior = arguments.require_superior;
    let rows_noun = arguments.rows_noun.clone();
    let request = arguments.request()?;
    let files = EvidenceFiles::default();
    let Evaluated {
        evidence,
        comparison,
    } = with_a_bar(|show| evaluate::evaluate(&files, &request, allowed_error, show))?;
    let naming = Naming {
        champion: "the champion",
        challenger: "The challenger",
        rows: &rows_noun,
        look: None,
    };
    let sentence = sentence(&comparison, &naming);
    match output {
        Output::Json => {
            let report = Report {
                verdict: comparison.verdict.name(),
                sentence: &sentence,
                evidence: &evidence,
                comparison: &comparison,
            };
            println!("{}", serde_json::to_string_pretty(&report)?);
        }
        Output::Text => {
            print!("{}", summary::metrics(&comparison));
            print!("{}", intervals::draw(&comparison));
            for warning in &comparison.warnings {
                println!("warning: {}", crate::report::warning(warning));
            }
            println!("{sentence}");
        }
    }
    if let Some(page) = page {
        let by_hand = ByHand {
            naming,
            request: &request,
            sentence: &sentence,
        };
        report::write(&files, &page, &by_hand, &evidence, &comparison)?;
    }
    Ok(exit_code(&comparison.verdict, require_superior))
}

fn exit_code(verdict: &Verdict, require_superior: bool) -> ExitCode {
    if require_superior && *verdict != Verdict::Superior {
        ExitCode::from(HELD)
    } else {
        ExitCode::SUCCESS
    }
}

/// Shows how many resamples are drawn when they take long: as a bar where standard error is a terminal, else in lines there.
fn with_a_bar<T>(work: impl FnOnce(&mut dyn FnMut(u32, u32)) -> T) -> T {
    let bar = progress::bar("resamples");
    let mut began: Option<Instant> = None;
    let mut lines = 0;
    let done = work(&mut |drawn, wanted| {
        // The first call comes when the first resamples are drawn, long after the files began to be read.
        let elapsed = began.get_or_insert_with(Instant::now).elapsed();
        if elapsed >= PATIENCE {
            bar.update(|state| {
                state.set_len(u64::from(wanted));
                state.set_pos(u64::from(drawn));
            });
        }
        if bar.is_hidden() && elapsed >= INTERVAL * (lines + 1) {
            lines += 1;
            // Nobody is helped by an end for want of a reader of these lines.
            let _ = writeln!(std::io::stderr(), "{drawn} of {wanted} resamples drawn");
        }
    });
    bar.finish_and_clear();
    done
}
