//! The commands, run as a user runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The example of this name that `cargo test` has built beside this test.
pub(crate) fn path(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.extend(["examples", name]);
    path.set_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is not built: run `cargo test` or `cargo build --examples`", path.display());
    path
}

/// The example, to be run with the embedded model.
pub(crate) fn embedded(name: &str) -> Command {
    let mut command = Command::new(path(name));
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Whether the environment has `AMENDS_TEST_BACK_END=libtorch`, which needs feature `rust-bert`.
pub(crate) fn on_libtorch() -> bool {
    match std::env::var("AMENDS_TEST_BACK_END").as_deref() {
        Err(_) | Ok("embedded") => false,
        Ok("libtorch") => true,
        Ok(other) => panic!("AMENDS_TEST_BACK_END is {other}, expected embedded or libtorch"),
    }
}

/// The example, to be run with the shipped model: the embedded one, or [on libtorch](on_libtorch).
pub(crate) fn command(name: &str) -> Command {
    let mut command = embedded(name);
    if on_libtorch() {
        command.arg("--torch-dir").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/model"));
    }
    command
}
