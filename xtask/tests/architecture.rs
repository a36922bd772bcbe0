//! Who may import whom. The list here is the rule: whoever wants another arrow changes it, and says why.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Each crate, and the crates of the project that it may depend on. Tests may use what they like.
const MAY_IMPORT: [(&str, &[&str]); 12] = [
    ("nuncio-model", &[]),
    ("nuncio-websocket", &[]),
    ("nuncio-engineio", &[]),
    ("nuncio-socketio", &[]),
    ("nuncio-protocol", &["nuncio-model"]),
    ("nuncio-hub", &["nuncio-model"]),
    (
        "nuncio-session",
        &[
            "nuncio-model",
            "nuncio-protocol",
            "nuncio-engineio",
            "nuncio-socketio",
        ],
    ),
    (
        "nuncio-client",
        &[
            "nuncio-model",
            "nuncio-protocol",
            "nuncio-websocket",
            "nuncio-engineio",
            "nuncio-socketio",
        ],
    ),
    ("nuncio-store", &["nuncio-model", "nuncio-hub"]),
    (
        "nuncio-transport",
        &[
            "nuncio-model",
            "nuncio-session",
            "nuncio-hub",
            "nuncio-websocket",
            "nuncio-engineio",
            // It frames what these two write, as the hub's `Encode`.
            "nuncio-protocol",
            "nuncio-socketio",
        ],
    ),
    (
        "nuncio",
        &[
            "nuncio-transport",
            "nuncio-hub",
            "nuncio-session",
            "nuncio-model",
            "nuncio-store",
            "nuncio-protocol",
            "nuncio-socketio",
            // The raw handlers of an application speak WebSocket messages.
            "nuncio-websocket",
        ],
    ),
    ("nuncio-cli", &["nuncio", "nuncio-client", "nuncio-model"]),
];

/// Crates without I/O: bytes, time and randomness are arguments.
const SANS_IO: [&str; 7] = [
    "nuncio-model",
    "nuncio-websocket",
    "nuncio-engineio",
    "nuncio-socketio",
    "nuncio-protocol",
    "nuncio-session",
    "nuncio-hub",
];

/// What would bring a clock, a socket or a random source.
const IO: [&str; 8] = [
    "tokio",
    "hyper",
    "mio",
    "socket2",
    "rustix",
    "getrandom",
    "rand",
    "async-io",
];

#[test]
fn each_crate_imports_only_what_it_may() {
    let graph = Graph::read();

    for (name, allowed) in MAY_IMPORT {
        let imports = graph.direct(name);
        let ours: BTreeSet<_> = imports.intersection(&graph.ours).cloned().collect();
        let allowed = allowed.iter().map(|name| (*name).to_owned()).collect();
        let beyond: Vec<_> = ours.difference(&allowed).collect();
        assert!(beyond.is_empty(), "{name} must not import {beyond:?}");
    }
}

#[test]
fn every_crate_is_in_the_list() {
    let graph = Graph::read();

    // What nobody imports may import anything.
    let free = ["xtask", "nuncio-e2e", "nuncio-benches"];
    let listed = MAY_IMPORT.iter().map(|(name, _)| *name).chain(free);
    let listed: BTreeSet<_> = listed.map(str::to_owned).collect();
    let missing: Vec<_> = graph.ours.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the list: {missing:?}");
    for name in free {
        let importers: Vec<_> = graph
            .imports
            .iter()
            .filter(|(_, imports)| imports.contains(name))
            .collect();
        assert!(importers.is_empty(), "{importers:?} import {name}");
    }
}

#[test]
fn a_crate_without_io_depends_on_nothing_with_io_however_far_away() {
    let graph = Graph::read();

    for name in SANS_IO {
        let all = graph.all(name);
        let found: Vec<_> = IO.iter().filter(|io| all.contains(**io)).collect();
        assert!(found.is_empty(), "{name} depends on {found:?}");
        assert!(!all.is_empty(), "{name} depends on nothing at all?");
    }
}

#[test]
fn a_crate_without_io_forbids_clocks_sockets_and_threads_in_its_code() {
    for name in SANS_IO {
        let folder = name.strip_prefix("nuncio-").unwrap();
        let path = root().join("crates").join(folder).join("clippy.toml");
        let rules =
            std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{path:?} is missing"));
        for forbidden in [
            "std::time::Instant::now",
            "std::time::SystemTime::now",
            "std::net::TcpStream",
            "std::thread::spawn",
        ] {
            assert!(rules.contains(forbidden), "{path:?} allows {forbidden}");
        }
    }
}

/// Packages by name, and what each depends on when it is not tested.
struct Graph {
    ours: BTreeSet<String>,
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read() -> Self {
        let metadata = metadata();
        let packages = metadata["packages"].as_array().unwrap();
        let names: BTreeMap<_, _> = packages
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let members = metadata["workspace_members"].as_array().unwrap();
        let mut imports = BTreeMap::<_, BTreeSet<_>>::new();
        for node in metadata["resolve"]["nodes"].as_array().unwrap() {
            let normal = node["deps"].as_array().unwrap().iter().filter(is_normal);
            let normal = normal.map(|dep| names[&text(&dep["pkg"])].clone());
            // Several versions of a package count as one.
            let name = names[&text(&node["id"])].clone();
            imports.entry(name).or_default().extend(normal);
        }
        Self {
            ours: members
                .iter()
                .map(|member| names[&text(member)].clone())
                .collect(),
            imports,
        }
    }

    fn direct(&self, name: &str) -> &BTreeSet<String> {
        self.imports
            .get(name)
            .unwrap_or_else(|| panic!("no crate {name}"))
    }

    fn all(&self, name: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            for import in self.direct(name) {
                if all.insert(import.clone()) {
                    open.push(import);
                }
            }
        }
        all
    }
}

/// Not only for tests or build scripts.
fn is_normal(dep: &&Value) -> bool {
    let kinds = dep["dep_kinds"].as_array().unwrap();
    kinds.iter().any(|kind| kind["kind"].is_null())
}

/// Of one platform, so that every machine sees the same graph.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            PLATFORM,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
