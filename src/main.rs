//! The program `logweir`.

fn main() -> std::process::ExitCode {
    logweir::run(logweir_plugins::registry())
}
