//! Why somebody was not let in.

use std::path::PathBuf;

use nuncio_model::{NameError, quote};

/// Why a token was refused: for the log, never for the client. Never holds the token or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// Larger than any sensible token.
    #[error("token of {len} bytes, at most {max} are allowed")]
    TooLong {
        /// Its length.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// Not `header.claims.signature`.
    #[error("not a JSON Web Token: it has no three parts with dots between")]
    NotThreeParts,
    /// A part is not written in base64url.
    #[error("the {part} of the token is not base64url")]
    NotBase64 {
        /// Which one.
        part: &'static str,
    },
    /// A part is not JSON of a sensible depth.
    #[error("the {part} of the token is not a JSON object")]
    NotJson {
        /// Which one.
        part: &'static str,
    },
    /// Not signed with HS256, whatever it is signed with.
    #[error("token with the algorithm {}, only HS256 is accepted", quote(.0))]
    Algorithm(String),
    /// The header demands something that is not understood (RFC 7515 §4.1.11).
    #[error("the header of the token has `crit`, and no extension is understood")]
    Critical,
    /// None of the secrets made the signature.
    #[error("the signature fits none of the {secrets} secrets")]
    Signature {
        /// How many were tried.
        secrets: usize,
    },
    /// The claims have a wrong form.
    #[error("the claims of the token cannot be read: {}", quote(.0))]
    Claims(String),
    /// `exp` is past.
    #[error("the token expired at {exp}, it is {now} (leeway {leeway} s)")]
    Expired {
        /// Its end, in seconds since the Unix epoch.
        exp: u64,
        /// The present.
        now: u64,
        /// `auth.leeway`.
        leeway: u64,
    },
    /// `nbf` is to come.
    #[error("the token is good from {nbf}, it is {now} (leeway {leeway} s)")]
    NotYetValid {
        /// Its beginning, in seconds since the Unix epoch.
        nbf: u64,
        /// The present.
        now: u64,
        /// `auth.leeway`.
        leeway: u64,
    },
    /// `iss` is another, or missing.
    #[error("the token's iss is {}, auth.issuer is {}", quote(.found), quote(.wanted))]
    Issuer {
        /// The token's.
        found: String,
        /// The configured one.
        wanted: String,
    },
    /// `aud` is for others, or missing.
    #[error("the token's aud is {}, auth.audience is {}", quote(.found), quote(.wanted))]
    Audience {
        /// The token's.
        found: String,
        /// The configured ones.
        wanted: String,
    },
    /// `sub` is no user id.
    #[error("the token's sub: {0}")]
    Subject(NameError),
    /// A room of `nuncio.join` is none.
    #[error("the token's nuncio.join: {0}")]
    Join(NameError),
    /// A namespace of `nuncio.ns` is none.
    #[error("the token's nuncio.ns: {0}")]
    Namespace(NameError),
    /// The token or its user was revoked.
    #[error("the token is revoked")]
    Revoked,
}

impl AuthError {
    /// What the client is told: that it failed, and nothing to try next.
    pub const fn client_message(&self) -> &'static str {
        "Invalid token"
    }
}

/// The demo's secret cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoSecretError {
    /// Its file cannot be read or made.
    #[error("the demo keeps its secret in {}: {error}; set store.path to a folder that can be written, or auth.secrets for more than a demo", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// What is in the file is no secret.
    #[error("{} holds no secret of at least {min} bytes: remove the file, and a new one is made", path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// The bound.
        min: usize,
    },
    /// The operating system has no random numbers.
    #[error("no random numbers for the demo's secret: {0}")]
    Random(String),
}
