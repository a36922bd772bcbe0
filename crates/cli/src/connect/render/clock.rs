//! The time of day, as people and programs read it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::date::{date, time_of_day};

/// `2026-11-22T19:01:20.123Z` (RFC 3339). UTC, so that two machines' outputs can be compared.
pub(super) fn utc(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (date, time) = (date(since.as_secs() / 86_400), time_of_day(since.as_secs()));
    format!("{date}T{time}.{:03}Z", since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_is_a_date_a_time_of_day_and_milliseconds() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_795_374_080, "2026-11-22T19:01:20.000Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
        let at = UNIX_EPOCH + Duration::from_millis(1_007);
        assert_eq!(utc(at), "1970-01-01T00:00:01.007Z");
    }
}
