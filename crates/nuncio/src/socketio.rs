//! Socket.IO clients: their endpoint as configured, and who they are.

use std::sync::Arc;

use nuncio_model::{ErrorCode, Identity, Now, Opening, Refusal, Secret};
use nuncio_transport::{
    Client, Cors, DeflateConfig, Limits, Protocols, Purpose, SocketIo, SocketIoOptions,
};

use crate::app::Nuncio;
use crate::config::CheckedConfig;
use crate::hooks::{Arriving, Headers};

/// `None` where it is turned off.
pub(crate) fn endpoint(config: &CheckedConfig) -> Option<Arc<SocketIo>> {
    let section = &config.config.socketio;
    let payload_bytes_max = section.max_payload.0;
    let mut limits = Limits::default();
    limits.attachments_max = section.attachments_max;
    limits.attachments_wait = section.attachments_wait;
    let options = SocketIoOptions {
        path: section.path.clone(),
        purpose: Purpose::Sessions,
        ping_interval: section.ping_interval,
        ping_timeout: section.ping_timeout,
        connect_timeout: section.connect_timeout,
        transports: section.transports().unwrap_or_default(),
        upgrades: section.allow_upgrades,
        upgrade_timeout: section.upgrade_timeout,
        limits,
        payload_bytes_max,
        // Who polls cannot read while its request travels: a few of the largest messages must fit.
        outbox_bytes_max: config
            .connection
            .outbox_bytes_max
            .max(OUTBOX_PAYLOADS * payload_bytes_max),
        protocols: if section.allow_eio3 {
            Protocols::V3AndV4
        } else {
            Protocols::V4
        },
        parser: section.parser,
        deflate: section.deflate.then(DeflateConfig::default),
        compression: section
            .http_compression
            .then_some(section.http_compression_threshold.0),
        cookie: config.config.socketio_cookie.cookie(),
        cors: Cors {
            allowed_headers: section.allowed_headers.clone(),
            exposed_headers: section.exposed_headers.clone(),
        },
    };
    section.enabled.then(|| Arc::new(SocketIo::new(options)))
}

impl Nuncio {
    /// Who a Socket.IO client is: its CONNECT says so, or else the request that opened the connection.
    pub(crate) fn identify(
        &self,
        client: &Client,
        auth: &Secret,
        token: Option<Secret>,
        now: Now,
    ) -> Result<Identity, Refusal> {
        #[derive(serde::Deserialize)]
        struct Auth {
            token: Option<String>,
        }
        if !self.authenticator.is_on() {
            return self.anonymous(client);
        }
        let Ok(auth) = serde_json::from_str::<Auth>(auth.reveal()) else {
            return Err(Refusal::new(
                ErrorCode::NotAuthenticated,
                "auth.token must be a string",
            ));
        };
        match auth.token.map(Secret::from).or(token) {
            Some(token) => self.verify(&token, now),
            None => Err(Refusal::new(ErrorCode::NotAuthenticated, "Missing token")),
        }
    }

    /// What is known of a Socket.IO client, for a backend that decides: its CONNECT says who it is, or else the request that opened the connection.
    pub(crate) fn arriving(
        &self,
        auth: Secret,
        opening: Opening,
        now: Now,
    ) -> Result<Arriving, Refusal> {
        #[derive(serde::Deserialize)]
        struct Auth {
            token: Option<String>,
        }
        let Ok(Auth { token }) = serde_json::from_str::<Auth>(auth.reveal()) else {
            return Err(Refusal::new(
                ErrorCode::NotAuthenticated,
                "auth.token must be a string",
            ));
        };
        let token = token.map(Secret::from).or_else(|| opening.token());
        let head = opening.head();
        Ok(Arriving {
            token: token.map(|token| self.presented(token, now)),
            headers: head.map_or_else(Headers::default, |head| Headers::of_head(head)),
            connect: Some((auth, opening)),
            ..Arriving::default()
        })
    }
}

/// How many of the largest messages may wait for a client.
const OUTBOX_PAYLOADS: usize = 4;
