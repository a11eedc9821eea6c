//! The `podium` program.

use podium_operator::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    Cli::run()
}
