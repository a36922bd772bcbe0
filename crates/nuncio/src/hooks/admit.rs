//! The backend's word at a handshake, before there is a connection.

use std::sync::Arc;

use http::{Response, StatusCode, Uri, header};
use nuncio_model::{ErrorCode, Identity, Namespace, Refusal};
use nuncio_transport::{Admission, Body, text};

use super::Arriving;
use crate::app::Nuncio;
use crate::origin::redact;

impl Nuncio {
    /// Lets a request in that the backend decides about.
    ///
    /// # Errors
    /// As [`identify_apart`](Self::identify_apart).
    pub(crate) async fn admit_arriving(
        self: &Arc<Self>,
        mut admission: Admission,
        arriving: Arriving,
    ) -> Result<Admission, Refusal> {
        let namespace = admission.namespace.clone();
        let identity = self.identify_apart(namespace, arriving).await?;
        admission.identity = Some(identity);
        Ok(admission)
    }

    /// Who somebody is, asked in a task of its own, which goes on when the client does not wait: the backend's answer counts for the breaker.
    ///
    /// # Errors
    /// The backend's, or that of the token.
    pub(crate) async fn identify_apart(
        self: &Arc<Self>,
        namespace: Namespace,
        arriving: Arriving,
    ) -> Result<Identity, Refusal> {
        let app = self.clone();
        let asking = tokio::spawn(async move { app.identify_arriving(&namespace, arriving).await });
        asking
            .await
            .unwrap_or_else(|_| Err(Refusal::new(ErrorCode::Internal, "Internal error")))
    }

    /// The response to a handshake that the backend refused: 401, 403, 429, or 503 when there is no answer.
    pub(crate) fn refuse_handshake(&self, refusal: &Refusal, uri: &Uri) -> Response<Body> {
        let status = status_of(refusal.code);
        self.metrics
            .handshakes_refused
            .get_or_create(&[("status", status.as_u16().to_string())])
            .inc();
        let uri = redact(uri);
        tracing::debug!(status = status.as_u16(), code = refusal.code.as_str(), %uri, "a handshake was refused by a hook");
        let mut response = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(header::CONNECTION, "close");
        if status == StatusCode::UNAUTHORIZED {
            response = response.header(header::WWW_AUTHENTICATE, "Bearer");
        }
        if let Some(after) = refusal.retry_after {
            // Whole seconds, and never too early.
            let seconds = after.as_millis().div_ceil(1000);
            response = response.header(header::RETRY_AFTER, seconds.to_string());
        }
        response
            .body(text(refusal.message.clone()))
            .expect("the headers are valid")
    }
}

/// The status of a refusal before there is a connection.
pub(crate) const fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::NotAuthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable | ErrorCode::RoomLimit => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::Forbidden
        | ErrorCode::ParseError
        | ErrorCode::InvalidMessage
        | ErrorCode::UnknownType
        | ErrorCode::TooLarge
        | ErrorCode::NotFound => StatusCode::FORBIDDEN,
    }
}
