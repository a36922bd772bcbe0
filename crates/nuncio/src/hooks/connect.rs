//! Who a client is, where a backend decides.

use std::sync::Arc;

use http::{HeaderMap, header};
use nuncio_hub::Notice;
use nuncio_model::{
    ErrorCode, Head, Identity, Json, Namespace, Opening, Outcome, Refusal, Request, Secret,
    TurnedAway,
};
use nuncio_transport::{Client, Outbox, clock};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answer::Verdict;
use super::ask::{SharedRule, Unanswered};
use super::{Hooks, Rule};
use crate::app::Nuncio;
use crate::auth::{AuthError, NuncioClaim, RoomClaim};
use crate::calls::Answered;
use crate::config::{HookKind, OnFailure};

/// What is known of a client that wants in.
#[derive(Debug, Default)]
pub(crate) struct Arriving {
    /// Its session, once it has one: not before the upgrade.
    pub(crate) session: Option<String>,
    /// Its address.
    pub(crate) address: String,
    /// What its request says of it.
    pub(crate) headers: Headers,
    /// A Socket.IO CONNECT: its payload, a JSON object, and the request that opened the connection.
    pub(crate) connect: Option<(Secret, Opening)>,
    /// Its token, and who that says it is.
    pub(crate) token: Option<Presented>,
    /// Who it is at present, when it asks for newer rights.
    pub(crate) present: Option<Box<Identity>>,
}

/// The headers that a backend is told.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Headers {
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(rename = "user-agent", skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

/// A token, and what verifying it gave.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) token: Secret,
    pub(crate) verified: Result<Identity, AuthError>,
}

#[derive(Serialize)]
struct Question<'a> {
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<&'a Headers>,
    /// As it came, where it is none of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    /// Who it is by its token, or at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Claims<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Json>,
}

#[derive(Serialize)]
struct User<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<&'a Json>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
}

/// A backend's answer: the fields of the claim `nuncio`, with the user beside them.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    user: AnsweredUser,
    ns: Option<Vec<String>>,
    grants: Option<Vec<RoomClaim>>,
    private: Option<Vec<String>>,
    join: Option<Vec<String>>,
    exp: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct AnsweredUser {
    sub: Option<String>,
    info: Option<Box<RawValue>>,
}

/// Why nobody came of an answer.
#[derive(Debug, thiserror::Error)]
enum NobodyError {
    #[error("it names no user.sub, and no token does")]
    NoUser,
    #[error(transparent)]
    Identity(#[from] AuthError),
}

impl Headers {
    /// From what was remembered of the request that opened a connection.
    pub(crate) fn of_head(head: &Head) -> Self {
        let text = |name: &str| {
            let mut headers = head.headers.iter();
            let (_, value) = headers.find(|(known, _)| &**known == name)?;
            std::str::from_utf8(value).ok().map(str::to_owned)
        };
        Self {
            origin: text("origin"),
            user_agent: text("user-agent"),
        }
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            let value: &http::HeaderValue = headers.get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        Self {
            origin: text(header::ORIGIN),
            user_agent: text(header::USER_AGENT),
        }
    }
}

impl Arriving {
    fn verified(&self) -> Option<&Identity> {
        self.token.as_ref()?.verified.as_ref().ok()
    }

    fn question<'a>(&'a self, namespace: &'a Namespace) -> Question<'a> {
        let verified = self.verified();
        let known = verified.or(self.present.as_deref());
        let raw = self
            .token
            .as_ref()
            .filter(|presented| presented.verified.is_err());
        Question {
            namespace: namespace.as_str(),
            session: self.session.as_deref(),
            address: &self.address,
            headers: self.present.is_none().then_some(&self.headers),
            token: raw.map(|presented| presented.token.reveal()),
            user: known.map(|identity| User {
                sub: &identity.user,
                info: identity.profile.as_ref(),
            }),
            claims: verified.map(|identity| Claims {
                sub: &identity.user,
                exp: identity.exp,
                iat: identity.iat,
                jti: identity.token_id.as_deref(),
            }),
            auth: self
                .connect
                .as_ref()
                .and_then(|(auth, _)| without_secrets(auth)),
        }
    }
}

/// The payload of a CONNECT without its secrets: a token stands beside it where the backend is told of it.
fn without_secrets(auth: &Secret) -> Option<Json> {
    let mut fields: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(auth.reveal()).ok()?;
    // What recovers a session is the client's secret.
    for hidden in ["token", "pid", "offset"] {
        fields.remove(hidden);
    }
    (!fields.is_empty()).then(|| Json::of(&fields))
}

impl Hooks {
    /// Asks who a client is. Without an answer it is who its token says, if the configuration allows that.
    async fn identify(
        &self,
        app: &Nuncio,
        rule: &Rule,
        kind: HookKind,
        namespace: &Namespace,
        arriving: Arriving,
    ) -> Result<Identity, Refusal> {
        let question = arriving.question(namespace);
        let answer = self
            .ask::<Box<RawValue>>(rule, kind, &question)
            .await
            .and_then(|answer| read_verdict(&answer));
        let identity = match answer {
            Ok((verdict, _)) if !verdict.allow => {
                return Err(verdict.refusal(ErrorCode::NotAuthenticated));
            }
            Ok((_, answer)) => {
                let base = arriving.verified().or(arriving.present.as_deref());
                answer.identity(app, base, namespace).map_err(|why| {
                    let why = Unanswered::Unreadable(why.to_string());
                    tracing::warn!(hook = kind.as_str(), backend = %rule.url, %why, "a backend let nobody in");
                    why.refusal()
                })?
            }
            Err(why) => match (rule.on_failure, arriving.verified()) {
                (OnFailure::Allow, Some(identity)) if why.is_outage() => identity.clone(),
                (OnFailure::Allow | OnFailure::Deny, _) => return Err(why.refusal()),
            },
        };
        if app.authenticator.revocations().is_revoked(&identity) {
            return Err(Refusal::new(
                ErrorCode::NotAuthenticated,
                "the user or its token was revoked",
            ));
        }
        Ok(identity)
    }
}

fn read_verdict(answer: &RawValue) -> Result<(Verdict, Answer), Unanswered> {
    let unreadable = |error: serde_json::Error| Unanswered::Unreadable(error.to_string());
    let verdict: Verdict = serde_json::from_str(answer.get()).map_err(unreadable)?;
    let answer = serde_json::from_str(answer.get()).map_err(unreadable)?;
    Ok((verdict, answer))
}

impl Answer {
    /// Who the client is: what the answer leaves out comes from `base`, its token or its present rights, or else from the configuration.
    fn identity(
        self,
        app: &Nuncio,
        base: Option<&Identity>,
        namespace: &Namespace,
    ) -> Result<Identity, NobodyError> {
        let sub = match (&self.user.sub, base) {
            (Some(sub), _) => sub.as_str(),
            (None, Some(base)) => &base.user,
            (None, None) => return Err(NobodyError::NoUser),
        };
        let says_where = self.join.is_some();
        let claim = NuncioClaim {
            ns: self.ns,
            grants: self.grants,
            private: self.private,
            join: self.join.unwrap_or_default(),
            info: self.user.info,
        };
        let mut identity =
            app.authenticator
                .decided(sub, claim, base, namespace, clock::now().unix_s())?;
        identity.exp = self.exp.or(identity.exp);
        if let (false, Some(base)) = (says_where, base) {
            identity.join.clone_from(&base.join);
        }
        Ok(identity)
    }
}

impl Nuncio {
    /// The rule by which a backend decides who clients of a namespace are.
    pub(crate) fn connect_rule(&self, namespace: &Namespace) -> Option<(&Arc<Hooks>, &SharedRule)> {
        let hooks = self.hooks.as_ref()?;
        Some((hooks, hooks.rule(HookKind::Connect, namespace, None)?))
    }

    /// Who a client is whose request may open a connection, by its token or by the backend.
    pub(crate) async fn identify_arriving(
        &self,
        namespace: &Namespace,
        arriving: Arriving,
    ) -> Result<Identity, Refusal> {
        match self.connect_rule(namespace) {
            Some((hooks, rule)) => {
                let kind = HookKind::Connect;
                hooks.identify(self, rule, kind, namespace, arriving).await
            }
            None => by_token(arriving),
        }
    }

    /// Whether the backend decides who clients of a namespace are.
    pub(crate) fn is_decided(&self, namespace: &Namespace) -> bool {
        self.connect_rule(namespace).is_some()
    }

    /// Has the backend decide about a connected client: the client's task is told to ask again, with the identity.
    pub(crate) fn let_in(self: &Arc<Self>, client: &Client, call: u32, mut arriving: Arriving) {
        let Some((hooks, rule)) = self.connect_rule(&client.namespace) else {
            return;
        };
        arriving.session = Some(client.id.to_string());
        arriving.address = client.about.address.to_string();
        let asked = Asked {
            hooks: hooks.clone(),
            rule: rule.clone(),
            kind: HookKind::Connect,
            namespace: client.namespace.clone(),
        };
        self.ask_who(asked, client.outbox.clone(), call, arriving);
    }

    /// Gives a client what a newer token says, or the backend of it.
    pub(crate) fn refresh(
        self: &Arc<Self>,
        client: &mut Client,
        call: u32,
        token: Secret,
        now: nuncio_model::Now,
    ) -> Answered {
        let hooks = self.hooks.as_ref();
        let rule = hooks.and_then(|hooks| {
            let rule = hooks.rule(HookKind::Refresh, &client.namespace, None)?;
            Some((hooks.clone(), rule.clone()))
        });
        let (Some((hooks, rule)), Some(socket), Some(standing)) =
            (rule, &client.socket, &client.about.standing)
        else {
            let identity = self.verify(&token, now);
            return Some(identity.and_then(|identity| self.renew(client, identity, now)));
        };
        let arriving = Arriving {
            session: Some(client.id.to_string()),
            address: client.about.address.to_string(),
            token: Some(self.presented(token, now)),
            present: Some(Box::new(Identity {
                user: socket.user.clone(),
                profile: None,
                exp: None,
                iat: None,
                token_id: None,
                grants: standing.grants.clone(),
                join: Vec::new(),
            })),
            ..Arriving::default()
        };
        let asked = Asked {
            hooks,
            rule,
            kind: HookKind::Refresh,
            namespace: client.namespace.clone(),
        };
        self.ask_who(asked, client.outbox.clone(), call, arriving);
        None
    }

    /// A token with what verifying it gives; the reason of a refusal is logged by whoever has the last word.
    pub(crate) fn presented(&self, token: Secret, now: nuncio_model::Now) -> Presented {
        let verified = self.authenticator.verify(token.reveal(), now.unix_s());
        Presented { token, verified }
    }

    fn ask_who(self: &Arc<Self>, asked: Asked, outbox: Arc<Outbox>, call: u32, arriving: Arriving) {
        let app = self.clone();
        tokio::spawn(async move {
            let Asked {
                hooks,
                rule,
                kind,
                namespace,
            } = asked;
            let connect = arriving.connect.clone();
            let identity = hooks
                .identify(&app, &rule, kind, &namespace, arriving)
                .await;
            outbox.notify(match identity {
                Ok(identity) => Notice::Retry {
                    call,
                    request: request_of(kind, connect, Box::new(identity)),
                },
                Err(refusal) => Notice::Completed {
                    call,
                    result: match (kind, connect) {
                        (HookKind::Connect, None) => turned_away(refusal),
                        (_, _) => Err(refusal),
                    },
                },
            });
        });
    }
}

/// What a native client is told that waits with its first message: what the backend says, or that it does not answer.
fn turned_away(refusal: Refusal) -> Result<Outcome, Refusal> {
    match refusal.code {
        ErrorCode::Unavailable | ErrorCode::Internal | ErrorCode::RoomLimit => Err(refusal),
        code => Ok(Outcome::TurnedAway(Box::new(TurnedAway {
            code,
            message: refusal.message,
            data: refusal.data,
        }))),
    }
}

/// What the client's task is to do with the identity.
fn request_of(
    kind: HookKind,
    connect: Option<(Secret, Opening)>,
    identity: Box<Identity>,
) -> Request {
    match (kind, connect) {
        (HookKind::Refresh, _) => Request::Renew(identity),
        (_, Some((auth, opening))) => Request::Return {
            auth,
            opening,
            identity,
        },
        (_, None) => Request::Enter(identity),
    }
}

/// Whom to ask, and what.
struct Asked {
    hooks: Arc<Hooks>,
    rule: SharedRule,
    kind: HookKind,
    namespace: Namespace,
}

/// Who a client is by its token alone.
fn by_token(arriving: Arriving) -> Result<Identity, Refusal> {
    match arriving.token {
        Some(Presented { verified, .. }) => verified.map_err(|error| {
            tracing::info!(%error, "a token was refused");
            Refusal::new(ErrorCode::NotAuthenticated, error.client_message())
        }),
        None => Err(Refusal::new(ErrorCode::NotAuthenticated, "Missing token")),
    }
}
