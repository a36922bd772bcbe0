//! Tokens and users that are not let in any more.

use nuncio_hub::Notice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Begun, Command, Work};
use crate::api::failure::{Code, Failure};
use crate::api::value::User;
use crate::auth::Revocation;

/// Revokes a token by its `jti`, or all tokens of a user. Sessions that stand on them are closed with 4004, whatever their namespace; the tokens are refused
/// until `until`. Kept over a restart where there is a store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "RevokeRequest", extend("oneOf" = [
    { "required": ["userId"], "properties": { "userId": { "type": "string" }, "tokenId": { "type": "null" } } },
    { "required": ["tokenId"], "properties": { "tokenId": { "type": "string" }, "userId": { "type": "null" }, "issuedBefore": { "type": "null" } } }
], "examples" = [{ "userId": "ann", "until": 4102444800_u64 }]))]
pub(in crate::api) struct Revoke {
    /// The `jti` of a token.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255))]
    token_id: Option<String>,
    /// The `sub` of tokens.
    #[serde(default)]
    user_id: Option<User>,
    /// Of a user's tokens, those issued (`iat`) at this second or later stay good; the next second when left out. In seconds since the Unix epoch.
    #[serde(default)]
    issued_before: Option<u64>,
    /// When the last of these tokens has ended, in seconds since the Unix epoch: until then they are refused.
    until: u64,
}

/// It is done.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Revoked")]
pub(in crate::api) struct Revoked {
    /// Revocations that hold at present.
    revocations: u64,
}

impl Command for Revoke {
    type Answer = Revoked;

    fn begin(self, work: &Work) -> Result<Begun<Revoked>, Failure> {
        work.key.check_free()?;
        let now = work.now.unix_s();
        let until = self.until;
        let revocation = self.revocation(now)?;
        if until <= now {
            let message =
                format!("until {until} is past, it is {now}: write seconds since the Unix epoch");
            return Err(Failure::invalid(message));
        }
        let revocations = work.app.authenticator.revocations();
        revocations
            .revoke(revocation.clone(), until, now)
            .map_err(|full| Failure::new(Code::Unavailable, full.to_string()))?;
        tracing::info!(key = work.key.name, ?revocation, until, "the API revokes");
        work.close_revoked(&revocation);
        let work = work.clone();
        Ok(Box::pin(async move { work.keep_revocations().await }))
    }
}

impl Revoke {
    fn revocation(self, now: u64) -> Result<Revocation, Failure> {
        match (self.token_id, self.user_id, self.issued_before) {
            (Some(id), None, None) if (1..=255).contains(&id.len()) => Ok(Revocation::Token(id)),
            (Some(_), None, None) => Err(Failure::invalid("tokenId must have 1 to 255 bytes")),
            (None, Some(user), issued_before) => Ok(Revocation::User {
                user: user.0,
                issued_before: issued_before.unwrap_or(now + 1),
            }),
            (Some(_), None, Some(_)) => Err(Failure::invalid("issuedBefore belongs to userId")),
            (Some(_), Some(_), _) => Err(Failure::invalid("userId and tokenId exclude each other")),
            (None, None, _) => Err(Failure::invalid("userId or tokenId is missing")),
        }
    }
}

impl Work {
    /// Has every session that may be hit look at its token, which it alone knows. O(sessions).
    fn close_revoked(&self, revocation: &Revocation) {
        let revocations = self.app.authenticator.revocations();
        self.app.parking.end(|parked| {
            let standing = &parked.standing;
            revocations.hit(&parked.user, standing.iat, standing.token_id.as_deref())
        });
        for socket in self.app.node.sockets(None) {
            let may_be_hit = match revocation {
                Revocation::Token(_) => true,
                Revocation::User { user, .. } => socket.user == *user,
            };
            if may_be_hit {
                socket.outbox.notify(Notice::Recheck);
            }
        }
    }

    async fn keep_revocations(&self) -> Result<Revoked, Failure> {
        let app = self.app.clone();
        let now = self.now.unix_s();
        let kept = tokio::task::spawn_blocking(move || {
            let revocations = app.authenticator.revocations();
            if let Some(file) = &app.revocation_file {
                file.keep(revocations, now)?;
            }
            Ok::<_, std::io::Error>(revocations.len() as u64)
        });
        match kept.await {
            Ok(Ok(revocations)) => Ok(Revoked { revocations }),
            Ok(Err(error)) => {
                tracing::error!(%error, "the revocations cannot be kept: a restart would forget them");
                let message = format!("revoked, but not kept over a restart: {error}");
                Err(Failure::new(Code::Unavailable, message))
            }
            Err(error) => Err(Failure::new(Code::Internal, error.to_string())),
        }
    }
}
