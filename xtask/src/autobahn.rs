//! The Autobahn test suite, which needs a Python that no distribution has any more.

use std::path::{Path, PathBuf};

use crate::step::{Outcome, command, root, run, succeeds};

/// Installs the suite where it is not. On a machine where that cannot work it says so, and fails in continuous integration only.
pub(crate) fn install() -> Outcome {
    if let Some(folder) = folder() {
        eprintln!("the suite is in {}", folder.display());
        return Ok(());
    }
    let setup = root().join("e2e/autobahn/setup.sh");
    let Some(cache) = cache() else {
        return Err("neither XDG_CACHE_HOME nor HOME is set".to_owned());
    };
    let installed = run(command("sh").arg(setup).arg(cache.join(OWN)));
    if installed.is_err() && std::env::var_os("CI").is_none() {
        eprintln!(
            "the Autobahn suite cannot be installed here (it takes Debian on amd64): its test will be skipped"
        );
        return Ok(());
    }
    installed
}

/// The folder of the suite in the cache.
const OWN: &str = "nuncio-autobahn";
/// Where the suite is looked for.
const FOLDERS: [&str; 2] = [OWN, "autobahn"];

/// A folder that has a working suite: `AUTOBAHN_HOME`, or one in the user's cache.
pub(crate) fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("AUTOBAHN_HOME").map(PathBuf::from);
    let cached = cache()
        .into_iter()
        .flat_map(|cache| FOLDERS.map(|name| cache.join(name)));
    given.into_iter().chain(cached).find(|folder| works(folder))
}

fn cache() -> Option<PathBuf> {
    let given = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    given.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")))
}

/// Whether the suite in a folder starts at all.
fn works(folder: &Path) -> bool {
    let python = folder.join("py27");
    python.exists()
        && succeeds(
            command(&python.display().to_string())
                .arg(folder.join("site27/bin/wstest"))
                .arg("-a"),
        )
}
