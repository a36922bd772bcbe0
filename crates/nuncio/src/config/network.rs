//! Networks of addresses, and the address of a client behind proxies.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;
use http::header::FORWARDED;

use super::setting::{Setting, Wrong, text_settings};
use toml::Value;

/// A network such as `10.0.0.0/8`, or one address (RFC 4632).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address is in the network. An IPv4 address written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => same_prefix(
                network.to_bits().into(),
                address.to_bits().into(),
                32,
                self.prefix,
            ),
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same_prefix(network.to_bits(), address.to_bits(), 128, self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, width: u8, prefix: u8) -> bool {
    // A shift by the whole width of u128 is what checked_shr answers None for: a prefix of 0 holds every address.
    let differing = (a ^ b).checked_shr(u32::from(width - prefix));
    differing.unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        parse(text).ok_or_else(|| Wrong::new(nuncio_model::quote(text), "a network"))
    }
}

fn parse(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(width);
    (prefix <= width).then_some(Network { address, prefix })
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

text_settings! {
    Network, "network", r#"a network such as "10.0.0.0/8", "fd00::/8", or one address"#, parse, ToString::to_string;
}

/// The address of the client: that of the socket, or what trusted proxies say of it.
///
/// Read from the end, since a client can write the beginning: the last address that no trusted proxy has. `Forwarded` (RFC 7239) goes before
/// `X-Forwarded-For`. A word that is no address ends the search, and the last good one counts.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    for hop in hops(headers).into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Some(address) = hop else { break };
        client = address.to_canonical();
    }
    client
}

fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    if headers.contains_key(FORWARDED) {
        return list(headers, "forwarded").map(forwarded_for).collect();
    }
    list(headers, "x-forwarded-for")
        .map(|hop| hop_address(hop.trim()))
        .collect()
}

fn list<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter();
    // A line that is no text is one hop that is no address.
    lines.flat_map(|line| line.to_str().unwrap_or("unreadable").split(','))
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let is_for = name.trim().eq_ignore_ascii_case("for");
        is_for.then(|| hop_address(value.trim().trim_matches('"')))?
    })
}

/// An address, with or without a port; IPv6 with a port is in brackets.
fn hop_address(text: &str) -> Option<IpAddr> {
    let unbracketed = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    unbracketed
        .unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_of_its_prefix() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("fd00::/8", "fdaa::1", true),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(ip(address)), inside, "{network} {address}");
        }
    }

    #[test]
    fn a_text_that_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "example.com",
            "10.0.0.0/",
            "::/129",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn without_trusted_proxies_the_address_is_the_sockets() {
        let headers = headers(&[("x-forwarded-for", "198.51.100.1")]);

        assert_eq!(
            client_address(ip("203.0.113.9"), &headers, &[]),
            ip("203.0.113.9")
        );
    }

    #[test]
    fn the_last_address_that_no_trusted_proxy_has_is_the_clients() {
        let trusted = [network("10.0.0.0/8")];
        for (name, value, client) in [
            ("x-forwarded-for", "198.51.100.1", "198.51.100.1"),
            (
                "x-forwarded-for",
                "1.1.1.1, 198.51.100.1, 10.0.0.7",
                "198.51.100.1",
            ),
            ("x-forwarded-for", "198.51.100.1:4711", "198.51.100.1"),
            ("x-forwarded-for", "10.0.0.9", "10.0.0.9"),
            ("x-forwarded-for", "nonsense", "10.0.0.1"),
            ("forwarded", "for=198.51.100.1;proto=https", "198.51.100.1"),
            (
                "forwarded",
                "for=\"[2001:db8::1]:4711\", for=10.0.0.3",
                "2001:db8::1",
            ),
            ("forwarded", "for=unknown", "10.0.0.1"),
        ] {
            let found = client_address(ip("10.0.0.1"), &headers(&[(name, value)]), &trusted);
            assert_eq!(found, ip(client), "{name}: {value}");
        }
    }

    #[test]
    fn a_client_that_reaches_the_server_itself_cannot_choose_its_address() {
        let trusted = [network("10.0.0.0/8")];
        let headers = headers(&[("x-forwarded-for", "127.0.0.1")]);

        assert_eq!(
            client_address(ip("203.0.113.9"), &headers, &trusted),
            ip("203.0.113.9")
        );
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines.iter();
        lines
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            })
            .collect()
    }
}
