//! Days and times of day in UTC: the one zone that every machine knows.

/// The Gregorian date of a day since 1970-01-01, by eras of 400 years that begin on the first of March.
pub(crate) fn date(days: u64) -> String {
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year}-{month:02}-{:02}",
        day_of_year - (153 * from_march + 2) / 5 + 1
    )
}

/// A time of day such as 14:03:22, from seconds since 1970-01-01.
pub(crate) fn time_of_day(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_since_the_epoch_become_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_779), "2026-11-22");
    }

    #[test]
    fn seconds_become_times_of_day() {
        assert_eq!(time_of_day(0), "00:00:00");
        assert_eq!(time_of_day(1_763_820_202), "14:03:22");
    }
}
