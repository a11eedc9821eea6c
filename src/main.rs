//! The `podium` program.

use podium_operator::cli::Cli;
use std::process::ExitCode;

// The C library's allocator keeps what thousands of objects took while they were listed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::run()
}
