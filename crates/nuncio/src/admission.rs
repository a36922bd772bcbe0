//! What a request for a session asks for, before anybody knows who asks.

use std::net::IpAddr;

use http::StatusCode;
use http::request::Parts;
use nuncio_model::Secret;
use nuncio_transport::{Admission, clock};

use crate::app::{Nuncio, Refused, namespace, query};
use crate::hooks::{Arriving, Headers};

impl Nuncio {
    /// What a request asks for; who asks is left to the backend where that decides.
    pub(crate) fn admission(
        &self,
        request: &Parts,
        peer: IpAddr,
    ) -> Result<(Admission, Option<Arriving>), Refused> {
        let config = &self.config.config;
        let caller = self.caller(&request.uri, &request.headers)?;
        self.check_room()?;
        let token = self.token_of(&request.uri, &request.headers, caller)?;
        let namespace = namespace(request)?;
        let resume = query(request, "resume").map(Secret::new);
        let address = self.address_of(&request.headers, peer);
        let is_decided = self.connect_rule(&namespace).is_some();
        let has_time = config.auth.first_message || resume.is_some();
        let arriving = (is_decided && (token.is_some() || !has_time)).then(|| Arriving {
            address: address.to_string(),
            headers: Headers::of(&request.headers),
            token: token
                .as_ref()
                .map(|token| self.presented(Secret::from(token.as_str()), clock::now())),
            ..Arriving::default()
        });
        let identity = match &token {
            _ if is_decided => None,
            Some(token) => Some(
                self.authenticator
                    .verify(token.as_str(), clock::now().unix_s())
                    .map_err(|error| {
                        tracing::info!(%error, %peer, "a token was refused");
                        Refused(StatusCode::UNAUTHORIZED, error.client_message())
                    })?,
            ),
            None if !self.authenticator.is_on() => Some(self.nobody()),
            None if has_time => None,
            None => return Err(Refused(StatusCode::UNAUTHORIZED, "Missing token")),
        };
        let admission = Admission {
            namespace,
            identity,
            resume,
            opening: self.head(token.as_ref(), &request.uri, &request.headers),
            address,
        };
        Ok((admission, arriving))
    }
}
