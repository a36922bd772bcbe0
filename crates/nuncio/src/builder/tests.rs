use super::*;

const SECRET: &str = "a secret of at least thirty-two bytes";

#[test]
fn what_is_not_said_is_safe_and_nobody_can_enter() {
    let (config, native) = ServerBuilder::default().checked().unwrap();

    assert_eq!(native, Endpoint::Off);
    assert!(config.config.server.listen.ip().is_loopback());
    assert!(!config.config.socketio.enabled && !config.config.store.enabled);
    assert!(!config.config.metrics.enabled && !config.config.server.echo);
    assert!(config.grants.rooms.is_empty());
    assert_eq!(
        config.origins,
        crate::origin::Origins::new(&[], crate::origin::Hosts::Any),
        "only pages of the host that is asked"
    );
}

#[test]
fn the_rate_limit_is_off_until_it_is_set() {
    let rate = |builder: ServerBuilder| builder.checked().unwrap().0.rate;

    assert_eq!(rate(ServerBuilder::default()).per_second, 0);
    let limited = rate(ServerBuilder::default().rate_limit(20, 40));
    assert_eq!((limited.per_second, limited.burst), (20, 40));
}

#[test]
fn with_a_secret_the_endpoints_exist_unless_they_are_turned_off() {
    let builder = || ServerBuilder::default().secret(SECRET);

    let (config, native) = builder().checked().unwrap();
    assert_eq!(native, "/ws".into());
    assert!(config.config.socketio.enabled);

    let (config, native) = builder()
        .native("/live")
        .socketio(Endpoint::Off)
        .checked()
        .unwrap();
    assert_eq!(native, "/live".into());
    assert!(!config.config.socketio.enabled);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_the_way_out() {
    let wrong = ServerBuilder::default()
        .listen("nowhere")
        .secret("short")
        .origins(["not an origin"])
        .limits(|limits| limits.rooms_per_session = 0)
        .check()
        .unwrap_err()
        .to_string();

    for said in [
        "server.listen = \"nowhere\": ",
        "write an address and a port, such as \"127.0.0.1:8080\"",
        "auth.secrets = (secret 1, hidden): 5 bytes can be guessed",
        "server.origins = \"not an origin\": ",
        "limits.rooms_per_session = 0: ",
    ] {
        assert!(wrong.contains(said), "{said:?} in:\n{wrong}");
    }
}

#[test]
fn an_endpoint_that_nobody_could_enter_is_refused() {
    let wrong = ServerBuilder::default().native("/live").check();

    assert_eq!(
        wrong.unwrap_err().to_string(),
        "server.path = \"/live\": nobody could authenticate there: give the server a secret"
    );
}
