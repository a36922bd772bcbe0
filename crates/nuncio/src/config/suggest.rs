//! "Did you mean": the known name that is nearest to a misspelt one.

use strsim::{damerau_levenshtein, jaro_winkler};

/// The nearest of the known names, when one is near enough to be worth saying.
pub(crate) fn suggest(written: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let written = written.to_lowercase();
    let scored = known.map(|name| (nearness(&written, &name.to_lowercase()), name));
    let (nearness, name) = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (nearness > 0.8).then_some(name)
}

/// 1 is the same name. A key in the wrong section, or without one, is as near as its own name is; in the right section it is nearer.
fn nearness(written: &str, known: &str) -> f64 {
    let split = |name: &str| match name.rsplit_once('.') {
        Some((section, own)) => (section.to_owned(), own.to_owned()),
        None => (String::new(), name.to_owned()),
    };
    let ((section, own_written), (known_section, own_known)) = (split(written), split(known));
    let near_own = match damerau_levenshtein(&own_written, &own_known) {
        0 => 0.99,
        1 if own_known.len() > 3 && section == known_section => 0.995,
        1 if own_known.len() > 3 => 0.9,
        _ => 0.0,
    };
    jaro_winkler(written, known).max(near_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        for (written, meant) in [
            ("limits.mesage_bytes", Some("limits.message_bytes")),
            ("server.Listen", Some("server.listen")),
            ("listen", Some("server.listen")),
            ("auth.message_bytes", Some("limits.message_bytes")),
            ("auth.secret", Some("auth.secrets")),
            ("colour", None),
        ] {
            let known = [
                "server.listen",
                "limits.message_bytes",
                "auth.secrets",
                "hooks.secret",
            ];
            assert_eq!(
                suggest(written, known.map(str::to_owned).into_iter()).as_deref(),
                meant,
                "{written}"
            );
        }
    }
}
