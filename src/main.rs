//! The `podium` program.

use clap::Parser;
use podium_operator::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    Cli::parse().execute()
}
