//! The commands of `podium`: they read arguments, call the rooms that do the work, and print.

// First, so that its macros hold in all that follows.
#[macro_use]
mod print;

mod bench_search;
mod champion;
mod consent;
mod delete;
mod evaluate;
mod get;
mod intervals;
mod live_trials;
mod operator;
mod place;
mod progress;
mod run;
mod run_now;
mod score;
mod simulate;
mod summary;
mod train;
mod watch;

use crate::adapters::evidence_files::address_of;
use clap::{Parser, Subcommand};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The command could not do what it was asked.
pub(crate) const FAILED: u8 = 1;
/// An argument that cannot mean anything, as clap has it.
const WRONG_USAGE: u8 = 2;
/// With `--require-promotion` or `--require-superior`: a champion was held.
pub(crate) const HELD: u8 = 3;

/// Tunes, compares and promotes models: a Kubernetes operator that also runs without a cluster.
#[derive(Debug, Parser)]
#[command(
    name = "podium",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "\
Examples:
  podium run examples/fraud                      tune, compare and promote on this machine
  podium get trials -d examples/fraud -o wide    what was tried
  podium approve fraud --as alice -d examples/fraud
  podium rollback fraud --reason alerts -d examples/fraud
  podium run-now fraud -n team-a                 a search of a policy that retrains, at once
  podium evaluate --champion old.parquet --challenger new.parquet --id id --label y
  podium crds | kubectl apply --server-side -f -

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a champion was held (with --require-promotion or --require-superior)."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Operator(operator::Arguments),
    Get(get::Arguments),
    Delete(delete::Arguments),
    Approve(consent::Approve),
    Reject(consent::Reject),
    History(champion::History),
    Rollback(champion::Rollback),
    RunNow(run_now::RunNow),
    Train(train::Arguments),
    Score(score::Arguments),
    // Boxed, since it has many more arguments than the others.
    Evaluate(Box<evaluate::Arguments>),
    /// Make data to try things on.
    #[command(subcommand)]
    Simulate(simulate::Simulate),
    /// Print the CustomResourceDefinitions.
    Crds,
    /// Serve benchmarks.
    #[command(subcommand)]
    Bench(Bench),
    /// Run one program to its end and write down how it ended.
    #[command(hide = true)]
    Supervise {
        /// The run's directory.
        run: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Suggest configurations: one JSON request per line of standard input, one reply per line of output.
    Search,
}

/// An argument cannot mean anything.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(String);

/// Why a command failed, in words for people.
pub(crate) type Failure = Box<dyn std::error::Error>;

impl Cli {
    /// Reads the arguments of this process and carries the command out; help, wrong usage and failures are printed.
    #[must_use]
    pub fn run() -> ExitCode {
        match Self::try_parse() {
            Ok(cli) => cli.execute(),
            Err(usage) => match (usage.use_stderr(), usage.print()) {
                (false, Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                    eprintln!("error: cannot write to standard output: {error}");
                    ExitCode::from(FAILED)
                }
                _ => ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(FAILED)),
            },
        }
    }

    /// Carries out the command; failures are printed.
    #[must_use]
    pub fn execute(self) -> ExitCode {
        let done = match self.command {
            Command::Run(arguments) => run::run(&arguments),
            Command::Operator(arguments) => operator::operator(arguments),
            Command::Get(arguments) => get::get(&arguments),
            Command::Delete(arguments) => delete::delete(&arguments),
            Command::Approve(arguments) => consent::approve(&arguments),
            Command::Reject(arguments) => consent::reject(&arguments),
            Command::History(arguments) => champion::history(&arguments),
            Command::Rollback(arguments) => champion::rollback(&arguments),
            Command::RunNow(arguments) => run_now::run_now(&arguments),
            Command::Train(arguments) => train::train(arguments),
            Command::Score(arguments) => score::score(&arguments),
            Command::Evaluate(arguments) => evaluate::evaluate(*arguments),
            Command::Simulate(simulate) => simulate::simulate(&simulate),
            Command::Crds => print_crds(),
            Command::Bench(Bench::Search) => {
                bench_search::serve(io::stdin().lock(), io::stdout().lock())
                    .map(|()| ExitCode::SUCCESS)
                    .map_err(Failure::from)
            }
            Command::Supervise { run } => run::supervise(run),
        };
        print::concluded(done.unwrap_or_else(|error| {
            if is_broken_pipe(error.as_ref()) {
                return ExitCode::SUCCESS;
            }
            eprintln!("error: {error}");
            ExitCode::from(match error.is::<WrongUsage>() {
                true => WRONG_USAGE,
                false => FAILED,
            })
        }))
    }
}

/// `podium get … | head` closes the pipe early, which is no failure.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn print_crds() -> Result<ExitCode, Failure> {
    for (_, crd) in podium_api::crd_files() {
        print::data(&format!("---\n{}", serde_saphyr::to_string(&crd)?));
    }
    Ok(ExitCode::SUCCESS)
}

/// A path, the path of a file:// URI, or the address of an object.
fn address_of_uri(uri: &str) -> Result<PathBuf, Failure> {
    Ok(address_of(Path::new(""), uri)?)
}
