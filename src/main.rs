//! The `halyard` command.

fn main() -> std::process::ExitCode {
    halyard::cli::main()
}
