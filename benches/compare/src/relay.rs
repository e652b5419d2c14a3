//! The relay, which represents tidings: a plain build, without anything special for the comparison.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Builds the relay next to this program and in its profile. Returns its path.
pub(crate) fn build() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let profile = own.parent().ok_or("this program is in no folder")?;
    let target = profile.parent().ok_or("this program is in no target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["build", "--locked", "--example", "relay", "--features", "full", "--target-dir"]);
    command.arg(target);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.status().map_err(|error| format!("cannot run cargo: {error}"))?;
    match status.success() {
        true => Ok(profile.join("examples/relay")),
        false => Err("the relay does not build".to_owned()),
    }
}
