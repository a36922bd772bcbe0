//! What a token says.

use nuncio_model::{Grants, Namespace, Pattern, Right, RoomGrant};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::AuthError;

/// The claims of a token (RFC 7519 §4.1), and ours. Claims that are not listed here are passed over.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// The user.
    pub sub: String,
    /// When the token ends, in seconds since the Unix epoch. A token without it never ends.
    #[serde(
        default,
        deserialize_with = "seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub exp: Option<u64>,
    /// When it begins, in the same unit.
    #[serde(
        default,
        deserialize_with = "seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub nbf: Option<u64>,
    /// When it was issued, in the same unit.
    #[serde(
        default,
        deserialize_with = "seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub iat: Option<u64>,
    /// Who issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Whom it is for: one or several.
    #[serde(
        default,
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub aud: Vec<String>,
    /// Its own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// What it grants here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nuncio: Option<NuncioClaim>,
}

impl Claims {
    /// Claims of a user until `exp`, in seconds since the Unix epoch, with the grants of the configuration.
    pub fn new(sub: &str, exp: u64) -> Self {
        Self {
            sub: sub.to_owned(),
            exp: Some(exp),
            ..Self::default()
        }
    }
}

/// The claim `nuncio`. What is `None` comes from the section `grants` of the configuration; an empty list grants nothing.
///
/// An unknown field is an error: a misspelt grant would be silently missing, and a restriction of a later version silently dropped.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NuncioClaim {
    /// Namespaces that may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ns: Option<Vec<String>>,
    /// Rights in rooms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<RoomClaim>>,
    /// Patterns of users and sessions that private messages may be sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<Vec<String>>,
    /// Rooms that are joined at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<String>,
    /// What others may see of the user: any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Box<RawValue>>,
}

/// Rights in the rooms of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomClaim {
    /// Which rooms.
    pub rooms: String,
    /// What is allowed there.
    pub allow: Vec<Right>,
}

impl NuncioClaim {
    pub(super) const fn grants_nothing_itself(&self) -> bool {
        self.ns.is_none() && self.grants.is_none() && self.private.is_none()
    }

    /// The grants, with those of the configuration where the claim is silent.
    pub(super) fn grants_over(&self, default: &Grants) -> Result<Grants, AuthError> {
        Ok(Grants {
            namespaces: match &self.ns {
                Some(names) => {
                    let names = names.iter().map(|name| Namespace::parse(name));
                    names
                        .collect::<Result<_, _>>()
                        .map_err(AuthError::Namespace)?
                }
                None => default.namespaces.clone(),
            },
            rooms: match &self.grants {
                Some(grants) => grants.iter().map(RoomClaim::grant).collect(),
                None => default.rooms.clone(),
            },
            private: match &self.private {
                Some(patterns) => patterns
                    .iter()
                    .map(|pattern| Pattern::new(pattern))
                    .collect(),
                None => default.private.clone(),
            },
        })
    }
}

impl RoomClaim {
    fn grant(&self) -> RoomGrant {
        RoomGrant {
            rooms: Pattern::new(&self.rooms),
            allow: self.allow.clone().into(),
        }
    }
}

/// The header of a token (RFC 7515 §4.1), as far as it can forbid.
#[derive(Deserialize)]
pub(super) struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

impl Header {
    /// The header of the tokens that are minted.
    pub(super) const HS256: &'static str = r#"{"alg":"HS256","typ":"JWT"}"#;

    pub(super) fn parse(json: &[u8]) -> Result<Self, AuthError> {
        serde_json::from_slice(json).map_err(|_| AuthError::NotJson { part: "header" })
    }

    pub(super) fn check(&self) -> Result<(), AuthError> {
        if self.alg != "HS256" {
            return Err(AuthError::Algorithm(self.alg.clone()));
        }
        match self.crit {
            Some(_) => Err(AuthError::Critical),
            None => Ok(()),
        }
    }
}

/// The first second that JSON cannot tell from the next in every language: 2^53. A leeway added to an earlier one never overflows.
const SECONDS_END: f64 = 9_007_199_254_740_992.0;

/// A NumericDate (RFC 7519 §2) may have a fraction, which is dropped; one before the epoch or beyond all clocks is an error.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    match number.as_f64() {
        Some(seconds) if (0.0..SECONDS_END).contains(&seconds) => Ok(Some(seconds as u64)),
        Some(_) | None => Err(D::Error::custom(format!(
            "{number} is no time in seconds since 1970"
        ))),
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        None(()),
        One(String),
        Several(Vec<String>),
    }

    Ok(match Audience::deserialize(deserializer)? {
        Audience::None(()) => Vec::new(),
        Audience::One(audience) => vec![audience],
        Audience::Several(audiences) => audiences,
    })
}
