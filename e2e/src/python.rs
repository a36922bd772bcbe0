//! Judges that are written in Python, each with an environment of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter of an environment that has what `requirements.txt` of a folder of `e2e` names; it is made in `home` at the first run.
///
/// # Panics
/// When there is no Python, or what is named cannot be installed.
pub fn python(home: &Path, requirements_of: &str) -> PathBuf {
    let python = home.join("bin/python");
    if !home.join("installed").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(home));
        let requirements = folder(requirements_of).join("requirements.txt");
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--requirement"]);
        run(install.arg(requirements));
        std::fs::write(home.join("installed"), "").expect("the folder can be written to");
    }
    python
}

/// A folder of `e2e`.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn run(command: &mut Command) {
    let status = command.status().expect("Python is installed");
    assert!(status.success(), "{command:?}: {status}");
}
