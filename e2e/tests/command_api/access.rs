//! Where a command finds its server and its key, and what it says when it does not.

use nuncio_e2e::backend::{ADMIN, KEEPER, KEYS, READER};
use nuncio_e2e::command::{bare, beside, nuncio, run};
use nuncio_e2e::server::CONFIG;
use nuncio_e2e::{Program, TestServer};

use crate::start;

#[test]
fn beside_a_demo_no_key_is_needed() {
    let demo = Program::start(&[]);

    let published = run(beside(&demo, &["publish", "lobby", "Hello"]));
    let read = run(beside(&demo, &["tail", "lobby", "--max", "1"]));

    assert_eq!(published.code, 0, "{published:?}");
    assert_eq!(published.json()[0]["seq"], 1);
    assert_eq!(read.json()[0]["content"], "Hello", "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn address_and_key_come_from_the_configuration_of_the_server() {
    let server = start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = CONFIG.replace("127.0.0.1:0", &server.address.to_string());
    std::fs::write(folder.path().join("nuncio.toml"), config + KEYS).unwrap();

    let mut command = bare(&["rooms"]);
    command.current_dir(folder.path());
    let by_default = run(command);
    let named = folder.path().join("nuncio.toml");
    let by_name = run(bare(&["rooms", "--config", named.to_str().unwrap()]));

    assert_eq!(by_default.code, 0, "{by_default:?}");
    assert_eq!(by_name.code, 0, "{by_name:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_comes_from_a_file_before_it_comes_from_the_environment() {
    let server = start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{ADMIN}\n")).unwrap();
    let path = file.path().to_str().unwrap();

    let done = run(nuncio(&server, "another", &["rooms", "--key-file", path]));
    std::fs::write(file.path(), format!("key = \"{ADMIN}\"")).unwrap();
    let wrong = run(nuncio(&server, "another", &["rooms", "--key-file", path]));

    assert_eq!(done.code, 0, "{done:?}");
    assert!(wrong.err.contains("the key alone"), "{wrong:?}");
    assert!(!wrong.err.contains(ADMIN), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_how_to_go_on() {
    let server = start().await;
    for (key, arguments, told) in [
        ("no-such-key", &["rooms"][..], "does not know this key"),
        ("no-such-key", &["tail", "a"], "does not know this key"),
        (KEEPER, &["rooms"], "the scope \"read\""),
        (KEEPER, &["tail", "a"], "the scope \"read\""),
        (READER, &["publish", "a", "x"], "the scope \"publish\""),
        (READER, &["top", "--once", "--interval", "1s"], ""),
        (
            READER,
            &["disconnect", "--user", "a"],
            "the scope \"sessions\"",
        ),
        (
            KEEPER,
            &["disconnect", "--everyone", "--yes"],
            "the scope \"admin\"",
        ),
        (ADMIN, &["disconnect", "--everyone"], "add --yes"),
        (
            ADMIN,
            &["disconnect", "--user", "a", "--code", "7"],
            "4100 to 4999",
        ),
        (ADMIN, &["sessions", "AAAAAAAAAAAAAAAAAAAA"], "is connected"),
        (ADMIN, &["publish", "nuncio:x", "y"], "reserved"),
        (ADMIN, &["publish", "a", "{", "--json"], "not JSON"),
        (
            ADMIN,
            &["tail", "a", "--since", "x"],
            "such as q83vASNFZ4k.42",
        ),
    ] {
        let done = run(nuncio(&server, key, arguments));

        let expected = i32::from(!told.is_empty());
        assert_eq!(done.code, expected, "{arguments:?}: {done:?}");
        assert!(done.err.contains(told), "{arguments:?}: {done:?}");
        assert!(!done.err.contains(key), "a key is not shown: {done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_server_api_is_told_from_a_server_that_is_not_there() {
    let without_api = TestServer::start("").await;
    let nowhere = nuncio_e2e::server::free_address();
    let no_api = run(nuncio(&without_api, ADMIN, &["rooms"]));
    let mut command = bare(&["rooms"]);
    command
        .env("NUNCIO_API", format!("http://{nowhere}"))
        .env("NUNCIO_API_KEY", ADMIN);
    let not_there = run(command);
    let mut command = bare(&["tail", "a"]);
    command
        .env("NUNCIO_API", format!("https://{}", without_api.address))
        .env("NUNCIO_API_KEY", ADMIN);
    let no_tls = run(command);

    assert!(
        no_api.err.contains("no key in its section api"),
        "{no_api:?}"
    );
    assert!(
        not_there.err.contains(&nowhere.to_string()),
        "{not_there:?}"
    );
    assert!(
        not_there.err.contains("Start it with `nuncio`"),
        "{not_there:?}"
    );
    assert!(no_tls.err.contains("write http://"), "{no_tls:?}");
    for done in [no_api, not_there, no_tls] {
        assert_eq!(done.code, 1, "{done:?}");
    }
}

#[test]
fn without_any_key_it_is_told_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bare(&["rooms"]);
    command.current_dir(folder.path());

    let done = run(command);

    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.err.contains("openssl rand -hex 24"), "{done:?}");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "whoever asks makes no data");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_trusted_by_the_authority_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let tls = format!(
        "{KEYS}\n[server.tls]\ncertificate = {:?}\nkey = {:?}",
        cert.to_str().unwrap(),
        key.to_str().unwrap()
    );
    let server = TestServer::start(&tls).await;
    let api = format!("https://localhost:{}", server.address.port());
    let ask = |more: &[&str]| {
        let mut arguments = vec!["rooms", "--api", &api, "--key", ADMIN];
        arguments.extend(more);
        run(bare(&arguments))
    };

    let trusted = ask(&["--ca", cert.to_str().unwrap()]);
    let not_trusted = ask(&[]);

    assert_eq!(trusted.code, 0, "{trusted:?}");
    assert_eq!(not_trusted.code, 1, "{not_trusted:?}");
    assert!(not_trusted.err.contains("--ca FILE"), "{not_trusted:?}");
}
