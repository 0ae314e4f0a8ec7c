//! The `sagittal` program: parses the command line, calls [`sagittal::cli`], turns errors into exit codes.

use std::process::ExitCode;

fn main() -> ExitCode {
    sagittal::cli::main()
}
