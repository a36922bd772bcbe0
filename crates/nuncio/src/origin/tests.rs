use super::*;

#[test]
fn a_page_from_the_same_host_and_port_may_connect_and_no_other() {
    for (origin, host, allowed) in [
        ("http://localhost:8080", "localhost:8080", true),
        ("http://localhost:8081", "localhost:8080", false),
        ("http://localhost", "localhost:8080", false),
        ("https://chat.example.com", "chat.example.com", true),
        ("https://chat.example.com", "chat.example.com:443", true),
        ("https://chat.example.com:443", "chat.example.com", true),
        ("https://chat.example.com", "chat.example.com:80", false),
        ("http://chat.example.com", "chat.example.com:80", true),
        ("https://Chat.Example.com", "chat.example.COM", true),
        (
            "https://chat.example.com.evil.test",
            "chat.example.com",
            false,
        ),
        ("https://evil.test", "chat.example.com", false),
        ("http://[::1]:8080", "[::1]:8080", true),
        ("http://[::1]:8080", "[::1]", false),
        ("null", "chat.example.com", false),
        ("", "chat.example.com", false),
        ("https://chat.example.com/path", "chat.example.com", false),
        ("https://user@chat.example.com", "chat.example.com", false),
        ("file://", "chat.example.com", false),
    ] {
        assert_eq!(
            check(&[], origin, host).is_ok(),
            allowed,
            "{origin:?} asks {host}"
        );
    }
}

#[test]
fn a_list_replaces_the_same_host_rule() {
    for (origin, allowed) in [
        ("https://app.example.com", true),
        ("https://app.example.com:443", true),
        ("http://app.example.com", false),
        ("https://app.example.com:8443", false),
        ("https://a.example.org", true),
        ("https://a.b.example.org", true),
        ("https://example.org", false),
        ("https://evilexample.org", false),
        ("https://.example.org", false),
        ("http://a.example.org", false),
        ("https://a.example.org.evil.test", false),
        ("capacitor://localhost", true),
        ("https://asked.test", false),
        ("null", false),
    ] {
        let list = [
            "https://app.example.com",
            "https://*.example.org",
            "capacitor://localhost",
        ];
        assert_eq!(
            check(&list, origin, "asked.test").is_ok(),
            allowed,
            "{origin}"
        );
    }
    assert!(
        check(
            &["https://a.test", "same-host"],
            "https://asked.test",
            "asked.test"
        )
        .is_ok()
    );
}

#[test]
fn a_star_lets_every_page_in_but_trusts_only_those_named() {
    let list = ["*", "https://app.example.com"];

    assert_eq!(
        check(&list, "https://anywhere.test", "asked.test"),
        Ok(Caller::AnyPage)
    );
    assert_eq!(check(&list, "null", "asked.test"), Ok(Caller::AnyPage));
    assert_eq!(
        check(&list, "https://app.example.com", "asked.test"),
        Ok(Caller::TrustedPage)
    );
}

#[test]
fn a_request_without_an_origin_is_a_programs() {
    let origins = Origins::new(&[], Hosts::Any);

    assert_eq!(
        origins.check(&Uri::from_static("/ws"), &HeaderMap::new()),
        Ok(Caller::Program)
    );
}

#[test]
fn two_origins_or_two_hosts_are_no_ones() {
    let mut headers = HeaderMap::new();
    headers.append(HOST, HeaderValue::from_static("asked.test"));
    headers.append(ORIGIN, HeaderValue::from_static("https://asked.test"));
    let origins = Origins::new(&[], Hosts::Any);
    let uri = Uri::from_static("/ws");
    assert_eq!(origins.check(&uri, &headers), Ok(Caller::TrustedPage));

    let mut two_hosts = headers.clone();
    two_hosts.append(HOST, HeaderValue::from_static("other.test"));
    let mut two_origins = headers;
    two_origins.append(ORIGIN, HeaderValue::from_static("https://other.test"));

    assert!(origins.check(&uri, &two_hosts).is_err());
    assert!(origins.check(&uri, &two_origins).is_err());
}

#[test]
fn the_demo_answers_to_this_machines_names_only() {
    let demo = Origins::new(&[], Hosts::Loopback);
    for (host, answers) in [
        ("localhost:8080", true),
        ("127.0.0.1:8080", true),
        ("[::1]:8080", true),
        ("LOCALHOST", true),
        ("rebound.evil.test:8080", false),
        ("localhost.evil.test", false),
        ("192.168.0.7:8080", false),
    ] {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        assert_eq!(
            demo.check(&Uri::from_static("/"), &headers).is_ok(),
            answers,
            "{host}"
        );
    }
}

#[test]
fn an_origin_of_the_configuration_has_no_path() {
    assert!(OriginPattern::from_text("https://a.test/").is_err());
    assert!(OriginPattern::from_text("a.test").is_err());
    for text in ["*", "same-host", "https://a.test", "https://*.a.test:8443"] {
        assert_eq!(OriginPattern::from_text(text).unwrap().to_string(), text);
    }
}

#[test]
fn secrets_in_a_query_are_masked_however_they_are_spelt() {
    for (uri, shown) in [
        ("/ws", "/ws"),
        ("/ws?ns=/chat", "/ws?ns=/chat"),
        ("/ws?token=abc&ns=/", "/ws?token=***&ns=/"),
        ("/ws?a=1&resume=abc", "/ws?a=1&resume=***"),
        ("/ws?Token=abc", "/ws?Token=***"),
        ("/ws?t%6Fken=abc", "/ws?t%6Fken=***"),
        ("/ws?token", "/ws?token"),
        ("http://user:pw@h/ws?token=abc", "/ws?token=***"),
    ] {
        assert_eq!(redact(&uri.parse().unwrap()).to_string(), shown);
    }
}

fn check(list: &[&str], origin: &'static str, host: &'static str) -> Result<Caller, OriginError> {
    let list: Vec<_> = list
        .iter()
        .map(|text| OriginPattern::from_text(text).unwrap())
        .collect();
    let headers = HeaderMap::from_iter([
        (ORIGIN, HeaderValue::from_static(origin)),
        (HOST, HeaderValue::from_static(host)),
    ]);
    Origins::new(&list, Hosts::Any).check(&Uri::from_static("/ws"), &headers)
}
