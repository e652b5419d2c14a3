//! The relay, which stands for tidings: built as anybody would, nothing in it is special to the comparison.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Builds it next to this program and in its profile, and says where it is.
pub(crate) fn build() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("can't find this program: {error}"))?;
    let profile = own.parent().ok_or("this program is in no folder")?;
    let target = profile.parent().ok_or("this program is in no target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["build", "--locked", "--example", "relay", "--features", "full", "--target-dir"]);
    command.arg(target);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.status().map_err(|error| format!("can't run cargo: {error}"))?;
    match status.success() {
        true => Ok(profile.join("examples/relay")),
        false => Err("the relay does not build".to_owned()),
    }
}
