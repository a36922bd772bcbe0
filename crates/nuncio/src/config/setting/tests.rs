use super::*;

#[test]
fn a_duration_is_seconds_or_has_a_unit() {
    for (value, ms) in [
        (Value::Integer(30), 30_000),
        (Value::Float(0.5), 500),
        (Value::String("500ms".into()), 500),
        (Value::String("30s".into()), 30_000),
        (Value::String("5 m".into()), 300_000),
        (Value::String("24h".into()), 86_400_000),
        (Value::String("7d".into()), 7 * 86_400_000),
        (Value::String("15".into()), 15_000),
    ] {
        assert_eq!(
            Duration::from_value(&value),
            Ok(Duration::from_millis(ms)),
            "{value}"
        );
    }
}

#[test]
fn a_duration_that_no_clock_can_be_advanced_by_is_refused() {
    for value in [
        Value::Integer(-1),
        Value::Integer(i64::MAX),
        Value::Float(f64::NAN),
        Value::String("18446744073709551615d".into()),
        Value::String("30 seconds".into()),
        Value::Boolean(true),
    ] {
        assert!(Duration::from_value(&value).is_err(), "{value}");
    }
}

#[test]
fn a_size_is_bytes_or_has_a_unit() {
    for (text, bytes) in [
        ("65536", 65536),
        ("64KiB", 65536),
        ("64 kib", 65536),
        ("1MiB", 1 << 20),
        ("1kB", 1000),
        ("100_000", 100_000),
    ] {
        assert_eq!(ByteSize::from_text(text), Ok(ByteSize(bytes)), "{text}");
    }
    assert!(ByteSize::from_text("64 apples").is_err());
    assert!(ByteSize::from_text("99999999999999999GiB").is_err());
}

#[test]
fn durations_and_sizes_are_written_so_that_they_read_back() {
    for ms in [0, 1, 500, 30_000, 90_000, 86_400_000, 86_400_001] {
        let duration = Duration::from_millis(ms);
        assert_eq!(
            Duration::from_value(&duration.to_value().unwrap()),
            Ok(duration)
        );
    }
    for bytes in [0, 1, 1000, 1024, 65536, 1 << 30] {
        let size = ByteSize(bytes);
        assert_eq!(ByteSize::from_value(&size.to_value().unwrap()), Ok(size));
    }
}

#[test]
fn the_text_of_a_list_has_commas_or_is_a_toml_array() {
    let names = ["a", "b"].map(str::to_owned).to_vec();

    assert_eq!(Vec::from_text("a, b,"), Ok(names.clone()));
    assert_eq!(Vec::from_text(r#"["a", "b"]"#), Ok(names));
    assert_eq!(Vec::<String>::from_text(""), Ok(vec![]));
    let grants =
        Vec::<RoomGrant>::from_text(r#"[{ rooms = "chat:*", allow = ["join"] }]"#).unwrap();
    assert!(grants[0].allow.has(Right::Join));
}

#[test]
fn a_wrong_value_says_what_was_found_and_what_is_wanted() {
    let wrong = u32::from_value(&Value::Integer(-3)).unwrap_err();

    assert_eq!(
        wrong.to_string(),
        "\"-3\" is not a whole number from 0 to 4294967295"
    );
}
