use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use super::*;

#[test]
fn short_json_stays_on_a_line_and_long_json_is_set_out() {
    let text = r#"{"b":1,"a":[true,{}],"c":"x"}"#;

    let wide = renderer(Form::Pretty, 80);
    assert_eq!(
        out(&wide, &message(text)),
        "< {\"b\": 1, \"a\": [true, {}], \"c\": \"x\"}\n"
    );

    let narrow = renderer(Form::Pretty, 20);
    let expected =
        "< {\n    \"b\": 1,\n    \"a\": [\n      true,\n      {}\n    ],\n    \"c\": \"x\"\n  }\n";
    assert_eq!(out(&narrow, &message(text)), expected);
}

#[test]
fn colours_are_there_only_where_they_are_asked_for() {
    let mut coloured = renderer(Form::Pretty, 80);
    coloured.styles = Styles::coloured();

    let text = out(&coloured, &message(r#"{"a":1}"#));

    assert!(text.contains("\u{1b}[34m\"a\"\u{1b}[0m"), "{text:?}");
    assert!(!out(&renderer(Form::Pretty, 80), &message(r#"{"a":1}"#)).contains('\u{1b}'));
}

#[test]
fn a_server_cannot_command_the_terminal() {
    let renderer = renderer(Form::Pretty, 80);

    let shown = out(&renderer, &message("a\u{1b}[2Jb\u{7}\u{9b}"));
    assert_eq!(shown, "< a\\u{1b}[2Jb\\u{7}\\u{9b}\n");
    let closed = Happening::Closed {
        code: 4000,
        reason: "\u{1b}c".into(),
    };
    assert_eq!(
        err(&renderer, &closed),
        "Closed with 4000 (the application's own): \\u{1b}c\n"
    );
    // JSON may hold them only in their escaped form, but for DEL and the second control range.
    assert_eq!(
        out(&renderer, &message("[\"\u{9b}\"]")),
        "< [\"\\u{9b}\"]\n"
    );
}

#[test]
fn bytes_are_a_dump_for_people_hex_in_a_pipe_and_themselves_in_raw() {
    let bytes = Happening::Message(Content::Binary(Bytes::from_static(b"\x00\xffHello")));

    let dumped = out(&renderer(Form::Pretty, 80), &bytes);
    assert_eq!(
        dumped,
        format!(
            "< 7 bytes\n  00000000  {:<48} ..Hello\n",
            "00 ff 48 65 6c 6c 6f "
        )
    );
    assert_eq!(out(&renderer(Form::Plain, 80), &bytes), "00ff48656c6c6f\n");
    let raw = renderer(Form::Raw, 80).render(&bytes, UNIX_EPOCH);
    assert_eq!(raw.out, b"\x00\xffHello");

    let many = Happening::Message(Content::Binary(vec![0; 300].into()));
    assert!(out(&renderer(Form::Pretty, 80), &many).ends_with("… 44 bytes more\n"));
}

#[test]
fn in_a_pipe_messages_are_alone_on_standard_output() {
    let plain = renderer(Form::Plain, 80);

    assert_eq!(out(&plain, &message("{ \"a\":  1 }")), "{ \"a\":  1 }\n");
    let open = Happening::Open {
        url: "ws://a/".into(),
        detail: Some("nuncio.v1".into()),
    };
    assert_eq!(out(&plain, &open), "");
    assert_eq!(err(&plain, &open), "Connected to ws://a/ (nuncio.v1)\n");
}

#[test]
fn as_json_everything_is_an_object_on_a_line() {
    let json = |happening: &Happening| {
        let shown =
            renderer(Form::Json, 80).render(happening, UNIX_EPOCH + Duration::from_millis(7));
        assert!(shown.err.is_empty());
        String::from_utf8(shown.out).unwrap()
    };

    assert_eq!(
        json(&message("{\"b\":\n1.0,\"a\":2}")),
        "{\"ts\":7,\"type\":\"message\",\"json\":{\"b\":1.0,\"a\":2}}\n"
    );
    assert_eq!(
        json(&message("7")),
        "{\"ts\":7,\"type\":\"message\",\"text\":\"7\"}\n"
    );
    let bytes = Happening::Message(Content::Binary(Bytes::from_static(&[0, 1])));
    assert_eq!(
        json(&bytes),
        "{\"ts\":7,\"type\":\"message\",\"binary\":\"AAE=\"}\n"
    );
    let closed = Happening::Closed {
        code: 1012,
        reason: "soon".into(),
    };
    assert_eq!(
        json(&closed),
        "{\"ts\":7,\"type\":\"close\",\"code\":1012,\"meaning\":\"restart\",\"reason\":\"soon\"}\n"
    );
    let event = Happening::Event {
        namespace: None,
        json: r#"["a",{"_placeholder":true,"num":0}]"#.into(),
        attachments: vec![Bytes::from_static(&[1])],
        ack: Some(3),
    };
    assert_eq!(
        json(&event),
        "{\"ts\":7,\"type\":\"event\",\"args\":[\"a\",{\"_placeholder\":true,\"num\":0}],\"attachments\":[\"AQ==\"],\"ack\":3}\n"
    );
}

#[test]
fn pings_and_what_is_sent_are_shown_to_those_who_ask() {
    let quiet = renderer(Form::Pretty, 80);
    let mut loud = quiet.clone();
    loud.show = Show {
        control: true,
        sent: true,
    };
    let ping = Happening::Ping(Bytes::from_static(b"x"));
    let sent = Happening::Sent(Content::Text("hello".into()));
    let answered = Happening::Pong {
        payload: Bytes::new(),
        took: Some(Duration::from_micros(1500)),
    };

    assert_eq!(quiet.render(&ping, UNIX_EPOCH), Shown::default());
    assert_eq!(quiet.render(&sent, UNIX_EPOCH), Shown::default());
    assert_eq!(err(&loud, &ping), "Ping \"x\"\n");
    assert_eq!(out(&loud, &sent), "> hello\n");
    assert_eq!(err(&quiet, &answered), "Pong after 1.5 ms\n");
}

#[test]
fn timestamps_begin_the_line() {
    let mut renderer = renderer(Form::Plain, 80);
    renderer.timestamps = Timestamps::Shown;

    assert_eq!(
        out(&renderer, &message("hello")),
        "1970-01-01T00:00:00.000Z hello\n"
    );
}

fn renderer(form: Form, width: usize) -> Renderer {
    Renderer {
        form,
        styles: Styles::default(),
        timestamps: Timestamps::Hidden,
        width,
        show: Show::default(),
    }
}

fn message(text: &str) -> Happening {
    Happening::Message(Content::Text(text.into()))
}

fn out(renderer: &Renderer, happening: &Happening) -> String {
    String::from_utf8(renderer.render(happening, UNIX_EPOCH).out).unwrap()
}

fn err(renderer: &Renderer, happening: &Happening) -> String {
    String::from_utf8(renderer.render(happening, UNIX_EPOCH).err).unwrap()
}
