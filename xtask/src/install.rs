//! What the tests need beside Rust, and how it gets here.

use crate::step::{Outcome, command, run, succeeds};

/// Programs by the Debian package that brings them.
const PROGRAMS: [(&str, &str); 9] = [
    ("node", "nodejs"),
    ("npm", "npm"),
    ("chromium", "chromium"),
    ("python3", "python3-pip"),
    ("cc", "gcc"),
    ("curl", "curl"),
    ("nginx", "nginx"),
    ("javac", "default-jdk-headless"),
    ("mvn", "maven"),
];

/// Looks for each program and installs the packages of those that are missing.
pub(crate) fn programs() -> Outcome {
    let is_missing = |program: &str| !succeeds(command("which").arg(program));
    let packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| is_missing(program))
        .map(|(_, package)| *package)
        .collect();
    if packages.is_empty() {
        eprintln!("node, npm, chromium, python3, cc, curl, nginx, javac and mvn are here");
    } else {
        apt_install(&packages)?;
    }
    node_is_new_enough()
}

fn apt_install(packages: &[&str]) -> Outcome {
    let wanted = packages.join(" ");
    eprintln!("missing, from Debian: {wanted}");
    let is_root = command("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    if !is_root {
        return Err(format!("as root: apt-get install {wanted}"));
    }
    run(&mut command("apt-get -qq update"))?;
    let install = "apt-get -qq install --yes --no-install-recommends";
    run(command(install)
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

/// The oldest Node whose packages of the TypeScript client work.
const NODE_MIN: u32 = 20;

fn node_is_new_enough() -> Outcome {
    let said = command("node")
        .arg("--version")
        .output()
        .map_err(|error| format!("node: {error}"))?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let major = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    match major {
        Some(major) if major >= NODE_MIN => Ok(()),
        Some(0..) | None => Err(format!(
            "node {version} is here, {NODE_MIN} or later is needed: https://nodejs.org"
        )),
    }
}

/// The folders whose packages are installed, exactly as locked.
const NPM_FOLDERS: [&str; 3] = ["clients/typescript", "e2e/browser", "e2e/socketio"];

/// Installs the npm packages where the lock file is newer than they are.
pub(crate) fn npm_packages() -> Outcome {
    NPM_FOLDERS.into_iter().try_for_each(|folder| {
        if are_installed(folder) {
            eprintln!("{folder}: installed as locked");
            return Ok(());
        }
        run(command("npm ci --no-fund --no-audit --prefix").arg(folder))
    })
}

/// Whether npm finished after the lock file last changed.
fn are_installed(folder: &str) -> bool {
    let modified = |file: &str| {
        let path = crate::step::root().join(folder).join(file);
        std::fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    match (
        modified("node_modules/.package-lock.json"),
        modified("package-lock.json"),
    ) {
        (Some(installed), Some(locked)) => installed >= locked,
        (Some(_), None) | (None, Some(_)) | (None, None) => false,
    }
}
