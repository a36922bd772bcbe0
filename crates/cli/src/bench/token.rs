//! Tokens from a server in demo mode: `POST /demo/token {name}`.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// What the clients of a load show to be let in.
#[derive(Debug)]
pub(crate) enum Tokens {
    /// Nothing: a floor asks for none.
    None,
    /// One token for all.
    Shared(String),
    /// A user and a token for each.
    Own(Vec<String>),
}

impl Tokens {
    /// `shared` for all, or else one for each of `users` users named `bench-0`, `bench-1`, … from the server itself, over one
    /// connection that ends with this call.
    pub(crate) fn obtain(
        shared: Option<&str>,
        server: SocketAddr,
        users: usize,
        progress: impl FnMut(),
    ) -> Result<Self> {
        match shared {
            Some(token) => Ok(Self::Shared(token.to_owned())),
            None => fetch(server, users, progress).map(Self::Own),
        }
    }

    /// The token of one client.
    pub(crate) fn of(&self, client: usize) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Shared(token) => Some(token),
            Self::Own(tokens) => tokens.get(client).map(String::as_str),
        }
    }
}

fn fetch(server: SocketAddr, users: usize, mut progress: impl FnMut()) -> Result<Vec<String>> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream);
    (0..users)
        .map(|user| {
            progress();
            fetch_one(&mut reader, server, user)
                .with_context(|| format!("a token for bench-{user} from {server}"))
        })
        .collect()
}

#[derive(Debug, Deserialize)]
struct Issued {
    token: String,
}

fn fetch_one(
    connection: &mut BufReader<TcpStream>,
    server: SocketAddr,
    user: usize,
) -> Result<String> {
    let body = format!(r#"{{"name":"bench-{user}"}}"#);
    let request = format!(
        "POST /demo/token HTTP/1.1\r\nHost: {server}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.get_mut().write_all(request.as_bytes())?;
    let body = read_response(connection)?;
    let issued: Issued = serde_json::from_slice(&body)?;
    Ok(issued.token)
}

/// The body of the next response, which must be a success.
pub(super) fn read_response(connection: &mut impl BufRead) -> Result<Vec<u8>> {
    let status = read_line(connection)?;
    let mut content_len = 0;
    loop {
        let line = read_line(connection)?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            content_len = value.trim().parse()?;
        }
    }
    let mut body = vec![0; content_len];
    connection.read_exact(&mut body)?;
    ensure!(
        status.starts_with("HTTP/1.1 200"),
        "{status}: {} (is the server in demo mode?)",
        String::from_utf8_lossy(&body)
    );
    Ok(body)
}

fn read_line(connection: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    ensure!(
        connection.read_line(&mut line)? > 0,
        "the server closed the connection"
    );
    line.truncate(line.trim_end().len());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_to_its_announced_length_and_no_further() {
        let mut two = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc".as_slice();

        assert_eq!(read_response(&mut two).unwrap(), b"ab");
        assert_eq!(read_response(&mut two).unwrap(), b"c");
    }

    #[test]
    fn a_server_without_demo_mode_is_named_with_its_status() {
        let mut answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".as_slice();

        assert!(
            read_response(&mut answer)
                .unwrap_err()
                .to_string()
                .contains("404")
        );
    }
}
