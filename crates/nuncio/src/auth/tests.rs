use std::time::Duration;

use nuncio_model::{Right, RoomGrant, UserId};
use serde_json::{Value, json};

use super::*;
use crate::config::{Config, Setting as _};

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "the first secret of the tests, 32 bytes";
const OTHER: &str = "the second secret of the tests, 32 bytes";

// Signatures

#[test]
fn a_token_that_was_minted_is_good() {
    let ann = authenticator().mint(Claims::new("ann", NOW + 60));

    let identity = authenticator().verify(&ann, NOW).unwrap();

    assert_eq!(identity.user, UserId::parse("ann").unwrap());
    assert_eq!(identity.exp, Some(NOW + 60));
}

#[test]
fn a_token_of_another_library_is_good() {
    // RFC 7519 does not fix the order of fields or the spaces; this one was written by hand and signed with `openssl dgst -sha256 -hmac`.
    let token = "eyAidHlwIjogIkpXVCIsICJhbGciOiAiSFMyNTYiIH0.eyAic3ViIjogImFubiIgfQ.J8uzbpI3Sfz3qdLMcpijD9fwkP9wVMxQzOyRSP1RN4k";

    assert_eq!(
        authenticator().verify(token, NOW).unwrap().user.as_str(),
        "ann"
    );
}

#[test]
fn an_unsigned_token_is_refused_however_it_is_written() {
    for alg in ["none", "None", "NONE", ""] {
        let message = unsigned(&json!({ "alg": alg }), &json!({ "sub": "ann" }));
        for token in [
            format!("{message}."),
            sign(Algorithm::HS256, SECRET, &message),
        ] {
            assert_eq!(refused(&token), AuthError::Algorithm(alg.to_owned()));
        }
    }
}

#[test]
fn an_algorithm_other_than_hs256_is_refused_even_with_the_right_secret() {
    for (alg, name) in [(Algorithm::HS384, "HS384"), (Algorithm::HS512, "HS512")] {
        let message = unsigned(&json!({ "alg": name }), &json!({ "sub": "ann" }));

        assert_eq!(
            refused(&sign(alg, SECRET, &message)),
            AuthError::Algorithm(name.to_owned())
        );
    }
    let message = unsigned(&json!({ "alg": "RS256" }), &json!({ "sub": "ann" }));
    assert_eq!(
        refused(&sign(Algorithm::HS256, SECRET, &message)),
        AuthError::Algorithm("RS256".to_owned())
    );
}

#[test]
fn a_token_signed_with_another_secret_is_refused() {
    let token = signed_with(OTHER, &json!({ "sub": "ann" }));

    assert_eq!(refused(&token), AuthError::Signature { secrets: 1 });
}

#[test]
fn while_secrets_rotate_tokens_of_the_old_and_the_new_one_are_good() {
    let mut config = config();
    config.auth.secrets.insert(0, Secret::new(OTHER));
    let rotated = open(config);

    for secret in [SECRET, OTHER] {
        rotated
            .verify(&signed_with(secret, &json!({ "sub": "ann" })), NOW)
            .unwrap();
    }
    let minted = rotated.mint(Claims::new("ann", NOW + 60));
    assert_eq!(
        refused(&minted),
        AuthError::Signature { secrets: 1 },
        "the first secret signs"
    );
}

#[test]
fn changing_any_byte_of_a_token_makes_it_bad() {
    let token = signed(&json!({ "sub": "ann", "exp": NOW + 60 }));
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(bytes).unwrap();
        assert!(authenticator().verify(&forged, NOW).is_err(), "byte {at}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    for text in [
        "", ".", "..", "a", "a.b", "a.b.c", "....", "é.é.é", "{}.{}.{}",
    ] {
        assert!(authenticator().verify(text, NOW).is_err(), "{text:?}");
    }
    let four_parts = format!("{}.x", signed(&json!({ "sub": "ann" })));
    assert!(authenticator().verify(&four_parts, NOW).is_err());
}

#[test]
fn a_header_with_critical_extensions_is_refused() {
    let message = unsigned(
        &json!({ "alg": "HS256", "crit": ["b64"], "b64": false }),
        &json!({ "sub": "ann" }),
    );

    assert_eq!(
        refused(&sign(Algorithm::HS256, SECRET, &message)),
        AuthError::Critical
    );
}

#[test]
fn a_token_of_more_than_8_kib_is_refused_before_it_is_read() {
    let token = signed(&json!({ "sub": "ann", "nuncio": { "info": "x".repeat(8 * 1024) } }));

    assert_eq!(
        refused(&token),
        AuthError::TooLong {
            len: token.len(),
            max: 8192
        }
    );
}

// Times, RFC 7519 §4.1.4 and §4.1.5

#[test]
fn a_token_ends_at_exp_plus_the_leeway() {
    let token = signed(&json!({ "sub": "ann", "exp": NOW }));

    for (now, good) in [
        (NOW - 1, true),
        (NOW, true),
        (NOW + 9, true),
        (NOW + 10, false),
        (u64::MAX, false),
    ] {
        assert_eq!(authenticator().verify(&token, now).is_ok(), good, "{now}");
    }
    let error = authenticator().verify(&token, NOW + 10).unwrap_err();
    assert_eq!(
        error,
        AuthError::Expired {
            exp: NOW,
            now: NOW + 10,
            leeway: 10
        }
    );
}

#[test]
fn a_token_begins_at_nbf_less_the_leeway() {
    let token = signed(&json!({ "sub": "ann", "nbf": NOW }));

    for (now, good) in [
        (0, false),
        (NOW - 11, false),
        (NOW - 10, true),
        (NOW, true),
        (u64::MAX, true),
    ] {
        assert_eq!(authenticator().verify(&token, now).is_ok(), good, "{now}");
    }
}

#[test]
fn a_leeway_of_nothing_is_exact() {
    let mut config = config();
    config.auth.leeway = Duration::ZERO;
    let exact = open(config);
    let token = signed(&json!({ "sub": "ann", "exp": NOW }));

    assert!(exact.verify(&token, NOW - 1).is_ok());
    assert!(exact.verify(&token, NOW).is_err());
}

#[test]
fn a_time_may_have_a_fraction_and_must_be_a_time() {
    let good = signed(&json!({ "sub": "ann", "exp": NOW as f64 + 0.5 }));
    assert_eq!(authenticator().verify(&good, NOW).unwrap().exp, Some(NOW));

    for exp in [
        json!("soon"),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(true),
        json!([]),
    ] {
        let token = signed(&json!({ "sub": "ann", "exp": exp }));
        assert!(matches!(refused(&token), AuthError::Claims(_)), "{exp}");
    }
}

// Issuer, audience, subject

#[test]
fn where_an_issuer_is_wanted_another_or_none_is_refused() {
    let mut config = config();
    config.auth.issuer = Some("https://id.test".to_owned());
    let strict = open(config);

    strict
        .verify(
            &signed(&json!({ "sub": "ann", "iss": "https://id.test" })),
            NOW,
        )
        .unwrap();
    for claims in [
        json!({ "sub": "ann", "iss": "https://evil.test" }),
        json!({ "sub": "ann" }),
    ] {
        let error = strict.verify(&signed(&claims), NOW).unwrap_err();
        assert!(matches!(error, AuthError::Issuer { .. }), "{claims}");
    }
    strict
        .verify(&strict.mint(Claims::new("ann", NOW + 60)), NOW)
        .unwrap();
}

#[test]
fn one_of_several_audiences_must_be_ours() {
    let mut config = config();
    config.auth.audience = vec!["chat".to_owned(), "chat-staging".to_owned()];
    let strict = open(config);

    for aud in [json!("chat"), json!(["mail", "chat-staging"])] {
        strict
            .verify(&signed(&json!({ "sub": "ann", "aud": aud })), NOW)
            .unwrap();
    }
    for aud in [
        json!("mail"),
        json!(["mail", "chatter"]),
        json!([]),
        json!(null),
    ] {
        let error = strict
            .verify(&signed(&json!({ "sub": "ann", "aud": aud })), NOW)
            .unwrap_err();
        assert!(matches!(error, AuthError::Audience { .. }), "{aud}");
    }
    strict
        .verify(&strict.mint(Claims::new("ann", NOW + 60)), NOW)
        .unwrap();
}

#[test]
fn a_token_for_somebody_else_is_refused_even_when_nobody_said_who_we_are() {
    let token = signed(&json!({ "sub": "ann", "aud": "mail" }));

    assert!(matches!(refused(&token), AuthError::Audience { .. }));
}

#[test]
fn the_subject_must_be_a_user_id() {
    for sub in ["", "a\u{7}b", &"x".repeat(256)] {
        assert!(
            matches!(
                refused(&signed(&json!({ "sub": sub }))),
                AuthError::Subject(_)
            ),
            "{sub:?}"
        );
    }
    for claims in [
        json!({}),
        json!({ "sub": 7 }),
        json!({ "sub": null }),
        json!([]),
        json!("ann"),
    ] {
        assert!(
            matches!(refused(&signed(&claims)), AuthError::Claims(_)),
            "{claims}"
        );
    }
}

// Grants

#[test]
fn a_token_says_what_it_grants() {
    let token = signed(&json!({
        "sub": "ann", "jti": "t1", "iat": NOW,
        "nuncio": {
            "ns": ["/", "/chat"],
            "grants": [{ "rooms": "chat:*", "allow": ["join", "publish"] }],
            "private": ["bob"],
            "join": ["chat:lobby"],
            "info": { "name": "Ann" },
        },
    }));

    let ann = authenticator().verify(&token, NOW).unwrap();

    let rights = ann.grants.rights("chat:lobby");
    assert!(rights.has(Right::Join) && rights.has(Right::Publish) && !rights.has(Right::History));
    assert_eq!(ann.grants.namespaces.len(), 2);
    assert!(ann.grants.check_private("bob").is_ok() && ann.grants.check_private("eve").is_err());
    assert_eq!(ann.join[0].as_str(), "chat:lobby");
    assert_eq!(ann.profile.unwrap().as_str(), r#"{"name":"Ann"}"#);
    assert_eq!((ann.token_id.as_deref(), ann.iat), (Some("t1"), Some(NOW)));
}

#[test]
fn what_a_token_leaves_out_is_what_the_configuration_grants() {
    let mut config = config();
    config.grants.rooms = vec![RoomGrant::from_value(&grant("lobby")).unwrap()];
    config.grants.private = vec![nuncio_model::Pattern::new("*")];
    let authenticator = open(config);
    let grants = |nuncio: Value| {
        let claims = json!({ "sub": "ann", "nuncio": nuncio });
        authenticator.verify(&signed(&claims), NOW).unwrap().grants
    };

    let plain = authenticator
        .verify(&signed(&json!({ "sub": "ann" })), NOW)
        .unwrap()
        .grants;
    assert!(plain.rights("lobby").has(Right::Join) && plain.check_private("bob").is_ok());
    assert!(Arc::ptr_eq(&plain, &grants(json!({ "info": 1 }))));
    let rooms = grants(json!({ "grants": [{ "rooms": "news", "allow": ["join"] }] }));
    assert!(rooms.rights("news").has(Right::Join) && !rooms.rights("lobby").has(Right::Join));
    assert!(rooms.check_private("bob").is_ok() && rooms.namespaces == plain.namespaces);
    let nothing = grants(json!({ "grants": [], "private": [], "ns": [] }));
    assert_eq!(*nothing, Grants::default());
}

#[test]
fn without_a_grant_anywhere_nothing_is_granted_but_the_main_namespace() {
    let ann = authenticator()
        .verify(&signed(&json!({ "sub": "ann" })), NOW)
        .unwrap();

    assert!(ann.grants.rooms.is_empty() && ann.grants.private.is_empty());
    assert!(ann.grants.check_namespace(&Namespace::default()).is_ok());
}

#[test]
fn equal_grants_of_different_users_are_one_copy() {
    let authenticator = authenticator();
    let grants = |user: &str| {
        let claims = json!({ "sub": user, "nuncio": { "private": ["*"] } });
        authenticator.verify(&signed(&claims), NOW).unwrap().grants
    };

    assert!(Arc::ptr_eq(&grants("ann"), &grants("bob")));
}

#[test]
fn a_claim_that_is_misspelt_is_refused_and_not_passed_over() {
    for nuncio in [
        json!({ "grant": [] }),
        json!({ "grants": [{ "rooms": "*", "allows": ["join"] }] }),
        json!({ "grants": [{ "rooms": "*", "allow": ["joins"] }] }),
        json!({ "grants": "*" }),
        json!({ "ns": ["chat"] }),
        json!({ "join": [""] }),
        json!({ "join": ["nuncio:x"] }),
        json!(7),
    ] {
        let claims = json!({ "sub": "ann", "nuncio": nuncio });
        assert!(
            authenticator().verify(&signed(&claims), NOW).is_err(),
            "{claims}"
        );
    }
}

#[test]
fn claims_nested_deeper_than_a_message_may_be_are_refused() {
    let deep = format!(
        r#"{{"sub":"ann","nuncio":{{"info":{}{}}}}}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    let message = format!("{}.{}", BASE64.encode(Header::HS256), BASE64.encode(deep));

    assert_eq!(
        refused(&sign(Algorithm::HS256, SECRET, &message)),
        AuthError::NotJson { part: "claims" }
    );
}

// Revocation, and what is told

#[test]
fn a_revoked_token_is_refused() {
    let authenticator = authenticator();
    let token = signed(&json!({ "sub": "ann", "jti": "t1" }));
    authenticator.verify(&token, NOW).unwrap();

    authenticator
        .revocations()
        .revoke(Revocation::Token("t1".to_owned()), NOW + 60, NOW)
        .unwrap();

    assert_eq!(authenticator.verify(&token, NOW), Err(AuthError::Revoked));
}

#[test]
fn the_client_is_told_nothing_and_the_log_never_has_the_token() {
    let tokens = [
        signed_with(OTHER, &json!({ "sub": "ann" })),
        signed(&json!({ "sub": "ann", "exp": 1 })),
        signed(&json!({ "sub": "ann", "aud": "mail" })),
        "zxcvbnm".to_owned(),
        "zxcvb!.asdfg.qwert".to_owned(),
        "x".repeat(10_000),
    ];
    for token in tokens {
        let error = refused(&token);
        assert_eq!(error.client_message(), "Invalid token");
        let log = format!("{error} {error:?}");
        assert!(
            token
                .split('.')
                .all(|part| part.len() < 4 || !log.contains(part)),
            "{log}"
        );
    }
    assert!(!format!("{:?}", authenticator()).contains(SECRET));
}

#[test]
fn the_demo_mints_tokens_that_grant_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Config::demo();
    demo.store.path = folder.path().join("data");
    let authenticator = open(demo.clone());

    let token = authenticator.mint(Claims::new("ann", NOW + 60));

    let restarted = open(demo);
    let ann = restarted.verify(&token, NOW).unwrap();
    assert!(
        ann.grants.rights("any room").has(Right::Publish)
            && ann.grants.check_private("bob").is_ok()
    );
}

fn config() -> Config {
    let mut config = Config::default();
    config.auth.secrets = vec![Secret::new(SECRET)];
    config
}

fn open(config: Config) -> Authenticator {
    Authenticator::from_config(&config.check().unwrap()).unwrap()
}

fn authenticator() -> Authenticator {
    open(config())
}

fn refused(token: &str) -> AuthError {
    authenticator().verify(token, NOW).unwrap_err()
}

fn grant(rooms: &str) -> toml::Value {
    format!("grant = {{ rooms = {rooms:?}, allow = [\"join\"] }}")
        .parse::<toml::Table>()
        .unwrap()["grant"]
        .clone()
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        BASE64.encode(header.to_string()),
        BASE64.encode(claims.to_string())
    )
}

fn sign(algorithm: Algorithm, secret: &str, message: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = (DEFAULT_PROVIDER.signer_factory)(&algorithm, &key)
        .unwrap()
        .sign(message.as_bytes());
    format!("{message}.{}", BASE64.encode(signature))
}

fn signed_with(secret: &str, claims: &Value) -> String {
    sign(
        Algorithm::HS256,
        secret,
        &unsigned(&json!({ "alg": "HS256", "typ": "JWT" }), claims),
    )
}

fn signed(claims: &Value) -> String {
    signed_with(SECRET, claims)
}
