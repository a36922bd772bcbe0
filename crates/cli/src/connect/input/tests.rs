use proptest::prelude::*;

use super::*;

#[test]
fn a_line_without_a_slash_is_what_its_dialect_sends() {
    let raw = parse(Dialect::Raw, "hello /world").unwrap();
    assert_eq!(raw, Input::Text("hello /world".into()));

    let json = r#"{"type":"ping"}"#;
    assert_eq!(
        parse(Dialect::Native, json).unwrap(),
        Input::Text(json.into())
    );
    let said = parse(Dialect::Native, "hello").unwrap();
    assert_eq!(said, Input::Native(NativeOrder::Say("hello".into())));

    let emitted = parse(Dialect::SocketIo, r#"["move", 1, {"b": 2, "a": 1}]"#).unwrap();
    assert_eq!(emitted, emit("move", &["1", r#"{"b": 2, "a": 1}"#]));
    let message = parse(Dialect::SocketIo, "hello you").unwrap();
    assert_eq!(message, emit("message", &[r#""hello you""#]));
}

#[test]
fn a_line_that_begins_with_a_slash_can_be_sent_too() {
    let text = parse(Dialect::Raw, "/text /etc/passwd  is a file").unwrap();

    assert_eq!(text, Input::Text("/etc/passwd  is a file".into()));
    assert_eq!(
        message(Dialect::Raw, "/ping").unwrap(),
        Input::Text("/ping".into())
    );
}

#[test]
fn bytes_are_hex_base64_or_a_file() {
    let bytes = |line: &str| match parse(Dialect::Raw, line) {
        Ok(Input::Binary(Source::Bytes(bytes))) => bytes.to_vec(),
        other => panic!("{line}: {other:?}"),
    };

    assert_eq!(bytes("/binary 00 ff 7F"), [0, 255, 127]);
    assert_eq!(bytes("/binary 0x00ff"), [0, 255]);
    assert_eq!(bytes("/binary base64:AAE="), [0, 1]);
    assert_eq!(bytes("/binary _-8"), [255, 239]);
    assert!(bytes("/binary ").is_empty());
    let file = parse(Dialect::Raw, "/binary @a b.png").unwrap();
    assert_eq!(file, Input::Binary(Source::File("a b.png".into())));
    let error = parse(Dialect::Raw, "/binary hex:abc").unwrap_err();
    assert_eq!(
        error.to_string(),
        "binary data is written as hex, base64 or @file, not as \"hex:abc\": hex has two digits for each byte"
    );
}

#[test]
fn only_codes_that_a_client_may_send_are_taken() {
    let close = |code, reason: &str| Input::Close {
        code,
        reason: reason.into(),
    };

    assert_eq!(parse(Dialect::Raw, "/close").unwrap(), close(1000, ""));
    assert_eq!(
        parse(Dialect::Raw, "/close 4000 good bye").unwrap(),
        close(4000, "good bye")
    );
    assert_eq!(
        parse(Dialect::Raw, "/close 1006"),
        Err(InputError::Code { code: 1006 })
    );
    let error = parse(Dialect::Raw, "/close now").unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"now\" is no close code: /close [CODE [REASON]]"
    );
}

#[test]
fn an_unknown_command_names_the_one_that_was_meant() {
    let error = parse(Dialect::Native, "/jion lobby").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no command \"/jion\", did you mean /join?; /help lists them, /text /jion sends it as it is"
    );
    let error = parse(Dialect::Raw, "/xyzzy").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no command \"/xyzzy\"; /help lists them, /text /xyzzy sends it as it is"
    );
}

#[test]
fn a_command_of_another_dialect_says_which_one_has_it() {
    for (dialect, line, needed) in [
        (
            Dialect::Raw,
            "/join lobby",
            "the native protocol (--native)",
        ),
        (
            Dialect::SocketIo,
            "/join lobby",
            "the native protocol (--native)",
        ),
        (Dialect::Native, "/emit hello", "Socket.IO (--socketio)"),
        (Dialect::Raw, "/emit hello", "Socket.IO (--socketio)"),
    ] {
        let error = parse(dialect, line).unwrap_err().to_string();
        assert!(error.contains(needed), "{line}: {error}");
    }
}

#[test]
fn the_native_commands_take_rooms_numbers_and_json_or_text() {
    let order = |line: &str| match parse(Dialect::Native, line) {
        Ok(Input::Native(order)) => order,
        other => panic!("{line}: {other:?}"),
    };
    let room = || nuncio_model::RoomName::parse("lobby").unwrap();

    let history = Some(20);
    assert_eq!(
        order("/join lobby 20"),
        NativeOrder::Join {
            room: room(),
            history
        }
    );
    let NativeOrder::Publish { content, .. } = order(r#"/publish lobby {"b":1,  "a":2}"#) else {
        panic!("no publish");
    };
    assert_eq!(content.as_str(), r#"{"b":1,  "a":2}"#);
    let NativeOrder::Private { to, content } = order("/private bob good \"day\"") else {
        panic!("no private message");
    };
    assert_eq!((&*to, content.as_str()), ("bob", r#""good \"day\"""#));
    let error = parse(Dialect::Native, "/publish lobby").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/publish needs what to say: /publish ROOM JSON|TEXT"
    );
    let error = parse(Dialect::Native, "/join lobby many").unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"many\" is no number: /join ROOM [HISTORY]"
    );
}

#[test]
fn arguments_of_an_event_are_json_words_and_bytes() {
    let line = r#"/emit draw {"x": 1} red 7 "a b" hex:0102 null"#;
    let Input::SocketIo(SocketIoOrder::Emit { name, args }) =
        parse(Dialect::SocketIo, line).unwrap()
    else {
        panic!("no emit");
    };

    assert_eq!(name, "draw");
    let json = |text: &str| Argument::Json(text.to_owned());
    let bytes = Argument::Binary(Source::Bytes(Bytes::from_static(&[1, 2])));
    assert_eq!(
        args,
        [
            json(r#"{"x": 1}"#),
            json(r#""red""#),
            json("7"),
            json(r#""a b""#),
            bytes,
            json("null")
        ]
    );
    let error = parse(Dialect::SocketIo, r#"/emit draw {"x": "#).unwrap_err();
    assert!(error.to_string().contains("is no JSON"), "{error}");
}

#[test]
fn help_lists_every_command_that_is_understood() {
    for dialect in [Dialect::Raw, Dialect::Native, Dialect::SocketIo] {
        for (usage, _) in commands(dialect) {
            let parsed = parse(dialect, name(usage));
            let is_known = !matches!(
                parsed,
                Err(InputError::Unknown { .. } | InputError::Dialect { .. })
            );
            assert!(is_known, "{usage}: {parsed:?}");
        }
        assert!(help(dialect).contains("/quit"));
    }
}

fn emit(name: &str, args: &[&str]) -> Input {
    let args = args.iter().map(|&arg| Argument::Json(arg.to_owned()));
    Input::SocketIo(SocketIoOrder::Emit {
        name: name.to_owned(),
        args: args.collect(),
    })
}

proptest! {
    #[test]
    fn no_line_panics(line in "(/[a-z]{0,9} ?)?\\PC{0,40}") {
        for dialect in [Dialect::Raw, Dialect::Native, Dialect::SocketIo] {
            let _ = parse(dialect, &line);
        }
    }

    #[test]
    fn without_a_slash_a_raw_line_is_sent_as_it_is(line in "([^/]\\PC{0,40})?") {
        prop_assert_eq!(parse(Dialect::Raw, &line), Ok(Input::Text(line)));
    }
}
