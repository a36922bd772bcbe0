//! A client of the server API.

use std::error::Error as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use nuncio::config::Scope;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;

use super::access::{Access, ApiArgs};
use super::error::ApiError;
use crate::settings::SettingsArgs;

/// A server, and a key for it. Connections are kept between requests.
pub(super) struct Api {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    access: Access,
    authorization: HeaderValue,
}

/// Names and values of a query, in order.
pub(super) type Query<'a> = Vec<(&'a str, String)>;

/// How long an answer may take: longer than a commit on a disk in trouble.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

#[derive(Deserialize)]
struct Failed {
    error: Refusal,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    code: String,
    message: String,
    retry_after: Option<u64>,
}

impl Api {
    /// Finds out where the server is and who asks; nothing is connected yet.
    ///
    /// # Errors
    /// As [`ApiArgs::access`]; certificates that cannot be read.
    pub(super) fn of(args: &ApiArgs, scope: Scope, settings: &SettingsArgs) -> Result<Self> {
        let access = args.access(scope, settings)?;
        let bearer = format!("Bearer {}", access.key.reveal());
        let mut authorization =
            HeaderValue::from_str(&bearer).context("the key has signs that no header may have")?;
        authorization.set_sensitive(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector(args)?);
        Ok(Self {
            client,
            access,
            authorization,
        })
    }

    /// Where the server is.
    pub(super) fn base(&self) -> &str {
        &self.access.base
    }

    /// Asks for something, and reads the answer's JSON.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(super) async fn get(&self, path: &str, query: &Query<'_>) -> Result<String, ApiError> {
        let request = self.request(Method::GET, &with_query(path, query));
        self.exchange(finished(request, Bytes::new())).await
    }

    /// Sends a command, and reads the answer's JSON.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(super) async fn post(&self, path: &str, body: String) -> Result<String, ApiError> {
        let request = self.request(Method::POST, path);
        let request = request.header(header::CONTENT_TYPE, JSON);
        self.exchange(finished(request, body.into())).await
    }

    /// Asks for events, which come as long as both sides want.
    ///
    /// # Errors
    /// [`ApiError`], as far as it is known when they begin.
    pub(super) async fn stream(&self, path: &str, query: &Query<'_>) -> Result<Incoming, ApiError> {
        let request = self.request(Method::GET, &with_query(path, query));
        let request = request.header(header::ACCEPT, EVENTS);
        let opened = async {
            let response = self.send(finished(request, Bytes::new())).await?;
            if response.status() == StatusCode::OK && is(&response, EVENTS) {
                return Ok(response.into_body());
            }
            let status = response.status();
            self.read(response).await?;
            let base = self.access.base.clone();
            Err(ApiError::NotTheApi { base, status })
        };
        self.in_time(opened).await
    }

    fn request(&self, method: Method, target: &str) -> http::request::Builder {
        let uri = format!("{}/api/v1{target}", self.access.base);
        Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::USER_AGENT, USER_AGENT)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<String, ApiError> {
        let answered = async {
            let response = self.send(request).await?;
            self.read(response).await
        };
        self.in_time(answered).await
    }

    async fn in_time<T>(
        &self,
        answered: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let timeout = || ApiError::Timeout {
            base: self.access.base.clone(),
            seconds: ANSWER_TIMEOUT.as_secs(),
        };
        tokio::time::timeout(ANSWER_TIMEOUT, answered)
            .await
            .unwrap_or_else(|_| Err(timeout()))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ApiError> {
        self.client.request(request).await.map_err(|error| {
            let (base, cause) = (self.access.base.clone(), root_of(&error));
            if error.is_connect() {
                ApiError::Unreachable { base, cause }
            } else {
                ApiError::Broken { base, cause }
            }
        })
    }

    /// The body of an answer; one that is no success is an error.
    async fn read(&self, response: Response<Incoming>) -> Result<String, ApiError> {
        let (status, is_json) = (response.status(), is(&response, JSON));
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| ApiError::Broken {
            base: self.access.base.clone(),
            cause: error.to_string(),
        })?;
        let bytes = body.to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        if status == StatusCode::OK && is_json {
            return Ok(text.into_owned());
        }
        match serde_json::from_str::<Failed>(&text) {
            Ok(Failed { error }) if !is_no_api(status, &error) => Err(ApiError::Refused {
                status,
                code: error.code,
                message: error.message,
                retry_after_ms: error.retry_after,
            }),
            _ => Err(ApiError::NotTheApi {
                base: self.access.base.clone(),
                status,
            }),
        }
    }
}

/// A server that has no API says of its path what it says of any other.
fn is_no_api(status: StatusCode, error: &Refusal) -> bool {
    status == StatusCode::NOT_FOUND && error.message.starts_with("nothing is at ")
}

/// Whether an answer is of this media type.
fn is(response: &Response<Incoming>, media_type: &str) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(media_type.as_bytes()))
}

fn finished(request: http::request::Builder, body: Bytes) -> Request<Full<Bytes>> {
    request
        .body(Full::new(body))
        .expect("the address was checked, and the rest is ours")
}

fn with_query(path: &str, query: &Query<'_>) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let pairs = Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{path}?{pairs}")
}

/// One part of a path, written so that nothing in it means anything.
pub(super) fn segment(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}

fn connector(args: &ApiArgs) -> Result<HttpsConnector<HttpConnector>> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let builder = HttpsConnectorBuilder::new();
    let builder = match &args.ca {
        None => builder.with_provider_and_platform_verifier(provider)?,
        Some(path) => {
            let name = || format!("--ca {}", path.display());
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).with_context(name)? {
                roots
                    .add(certificate.with_context(name)?)
                    .with_context(name)?;
            }
            let config = ClientConfig::builder_with_provider(provider.into())
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            builder.with_tls_config(config)
        }
    };
    Ok(builder
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector))
}

/// What is at the bottom of an error: the rest only says that there is one.
fn root_of(error: &hyper_util::client::legacy::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

const USER_AGENT: &str = concat!("nuncio/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_so_that_nothing_in_them_means_anything() {
        let query = vec![("roomId", "a b&c=ü".to_owned())];

        assert_eq!(
            with_query("/presence", &query),
            "/presence?roomId=a+b%26c%3D%C3%BC"
        );
        assert_eq!(with_query("/rooms", &Vec::new()), "/rooms");
        assert_eq!(segment("../a b+c"), "..%2Fa%20b%2Bc");
    }
}
