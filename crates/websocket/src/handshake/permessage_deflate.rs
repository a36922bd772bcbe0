//! The negotiation of `permessage-deflate` (RFC 7692 §5, §7.1).

use super::extension::{Extension, Param};
use crate::{DeflateParams, WindowBits};

/// What a server is ready to agree to, or what a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The largest window that the server shall compress with. Default 15 (32 KiB). Fewer bits cost the receivers less memory,
    /// and the compression some of its effect.
    pub server_window_max: WindowBits,
    /// The largest window that the client shall compress with. Default 15. A server can ask only those clients that offer
    /// `client_max_window_bits`; an [`Inflater`](crate::Inflater) reads every window for the same price.
    pub client_window_max: WindowBits,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            server_window_max: WindowBits::MAX,
            client_window_max: WindowBits::MAX,
        }
    }
}

/// The first acceptable one among the client's offers, which stand in the order of its preference (RFC 7692 §5.1).
pub(super) fn choose<'a>(
    mut offers: impl Iterator<Item = &'a Extension<'a>>,
    config: &DeflateConfig,
) -> Option<(DeflateParams, String)> {
    offers.find_map(|offer| Params::parse(offer, Side::Offer)?.accept(config))
}

/// The line by which a client offers compression. It always asks for no context takeover, for then the server's messages need no
/// state of this connection.
pub(super) fn offer(config: &DeflateConfig) -> String {
    let mut line = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
    if config.server_window_max < WindowBits::MAX {
        line += &format!("; server_max_window_bits={}", config.server_window_max);
    }
    if config.client_window_max < WindowBits::MAX {
        line += &format!("; client_max_window_bits={}", config.client_window_max);
    } else {
        line += "; client_max_window_bits";
    }
    line
}

/// What the server's answer to [`offer`] agrees to; `None` when it does not fit the offer (RFC 7692 §7.1).
pub(super) fn agreed(answer: &Extension<'_>, config: &DeflateConfig) -> Option<DeflateParams> {
    let params = Params::parse(answer, Side::Answer)?;
    let server_window = params.server_max_window_bits.unwrap_or(15);
    if !params.server_no_context_takeover || server_window > config.server_window_max.bits() {
        return None;
    }
    let client_window = match params.client_max_window_bits {
        ClientWindow::Absent => WindowBits::MAX,
        ClientWindow::Any => return None,
        ClientWindow::AtMost(bits) => WindowBits::new(bits)?,
    };
    Some(DeflateParams {
        // A server that keeps to 8 bits is read like one that keeps to 9.
        server_window: WindowBits::new(server_window).unwrap_or(WindowBits::MIN),
        client_window: client_window.min(config.client_window_max),
    })
}

/// The four parameters as they stand in one offer or answer.
#[derive(Debug, Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: ClientWindow,
}

/// `client_max_window_bits`: without a value it says in an offer that the server may choose one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ClientWindow {
    #[default]
    Absent,
    Any,
    AtMost(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Offer,
    Answer,
}

impl Params {
    /// `None` for another extension, an unknown or repeated parameter or a wrong value: such an offer is declined (RFC 7692 §7.1).
    fn parse(extension: &Extension<'_>, side: Side) -> Option<Self> {
        if !extension.name.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut params = Self::default();
        for (i, param) in extension.params.iter().enumerate() {
            if extension.params[..i]
                .iter()
                .any(|earlier| earlier.name == param.name)
            {
                return None;
            }
            params.set(param, side)?;
        }
        Some(params)
    }

    fn set(&mut self, param: &Param<'_>, side: Side) -> Option<()> {
        match (param.name, param.value.as_deref()) {
            ("server_no_context_takeover", None) => self.server_no_context_takeover = true,
            ("client_no_context_takeover", None) => self.client_no_context_takeover = true,
            ("server_max_window_bits", Some(bits)) => {
                self.server_max_window_bits = Some(parse_bits(bits)?)
            }
            ("client_max_window_bits", Some(bits)) => {
                self.client_max_window_bits = ClientWindow::AtMost(parse_bits(bits)?);
            }
            ("client_max_window_bits", None) if side == Side::Offer => {
                self.client_max_window_bits = ClientWindow::Any
            }
            _ => return None,
        }
        Some(())
    }

    /// What the server agrees to and the line that says so; `None` if the offer demands a window that zlib cannot keep to.
    fn accept(&self, config: &DeflateConfig) -> Option<(DeflateParams, String)> {
        // Both are said without being asked for (RFC 7692 §7.1.1.1, §7.1.1.2).
        let mut line = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
        let server_window = match self.server_max_window_bits {
            Some(bits) => WindowBits::new(bits)?.min(config.server_window_max),
            None => config.server_window_max,
        };
        if self.server_max_window_bits.is_some() || server_window < WindowBits::MAX {
            line += &format!("; server_max_window_bits={server_window}");
        }
        let client_window = match self.client_max_window_bits {
            ClientWindow::Absent => WindowBits::MAX,
            ClientWindow::Any => config.client_window_max,
            ClientWindow::AtMost(bits) => WindowBits::new(bits)
                .unwrap_or(WindowBits::MIN)
                .min(config.client_window_max),
        };
        // The answer may lower the client's window only if the client said that it can (RFC 7692 §7.1.2.2).
        if self.client_max_window_bits != ClientWindow::Absent
            && config.client_window_max < WindowBits::MAX
        {
            line += &format!("; client_max_window_bits={client_window}");
        }
        Some((
            DeflateParams {
                server_window,
                client_window,
            },
            line,
        ))
    }
}

/// 8 to 15 in decimal without leading zeros (RFC 7692 §7.1.2).
fn parse_bits(bits: &str) -> Option<u8> {
    match bits {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

const NAME: &str = "permessage-deflate";

#[cfg(test)]
mod tests {
    use super::super::extension;
    use super::*;

    fn bits(bits: u8) -> WindowBits {
        WindowBits::new(bits).unwrap()
    }

    fn answer_with(line: &str, config: &DeflateConfig) -> Option<(u8, u8, String)> {
        let offers = extension::parse(line.as_bytes()).unwrap();
        let (params, line) = choose(offers.iter(), config)?;
        Some((
            params.server_window.bits(),
            params.client_window.bits(),
            line,
        ))
    }

    fn answer(line: &str) -> Option<(u8, u8, String)> {
        answer_with(line, &DeflateConfig::default())
    }

    const PLAIN: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    /// RFC 7692 §7.1.1: the server may give up both contexts unasked.
    #[test]
    fn a_bare_offer_is_accepted_without_context_takeover() {
        assert_eq!(
            answer("permessage-deflate"),
            Some((15, 15, PLAIN.to_owned()))
        );
        assert_eq!(
            answer("permessage-deflate; client_no_context_takeover"),
            Some((15, 15, PLAIN.to_owned()))
        );
        assert_eq!(
            answer("permessage-deflate; server_no_context_takeover"),
            Some((15, 15, PLAIN.to_owned()))
        );
    }

    /// RFC 7692 §7.1.2.1.
    #[test]
    fn the_servers_window_is_as_small_as_the_client_asks() {
        for asked in 9..=15 {
            let line = format!("{PLAIN}; server_max_window_bits={asked}");

            assert_eq!(
                answer(&format!(
                    "permessage-deflate; server_max_window_bits={asked}"
                )),
                Some((asked, 15, line))
            );
        }
    }

    /// RFC 7692 §7.1.2.1: zlib cannot compress with 256 bytes, so the offer is declined.
    #[test]
    fn a_server_window_of_8_bits_is_declined() {
        assert_eq!(answer("permessage-deflate; server_max_window_bits=8"), None);
    }

    /// RFC 7692 §7.1.2.1: the server may keep to a smaller window than asked, or unasked.
    #[test]
    fn the_server_may_keep_to_a_smaller_window() {
        let config = DeflateConfig {
            server_window_max: bits(11),
            ..DeflateConfig::default()
        };
        let line = format!("{PLAIN}; server_max_window_bits=11");

        assert_eq!(
            answer_with("permessage-deflate; server_max_window_bits=13", &config),
            Some((11, 15, line.clone()))
        );
        assert_eq!(
            answer_with("permessage-deflate", &config),
            Some((11, 15, line))
        );
    }

    /// RFC 7692 §7.1.2.2: the answer names the client's window only if the offer allows it.
    #[test]
    fn the_clients_window_is_named_only_to_who_offers_it() {
        let config = DeflateConfig {
            client_window_max: bits(12),
            ..DeflateConfig::default()
        };

        assert_eq!(
            answer_with("permessage-deflate", &config),
            Some((15, 15, PLAIN.to_owned()))
        );
        let named = |window: u8| {
            Some((
                15,
                window,
                format!("{PLAIN}; client_max_window_bits={window}"),
            ))
        };
        assert_eq!(
            answer_with("permessage-deflate; client_max_window_bits", &config),
            named(12)
        );
        assert_eq!(
            answer_with("permessage-deflate; client_max_window_bits=10", &config),
            named(10)
        );
        assert_eq!(
            answer_with("permessage-deflate; client_max_window_bits=14", &config),
            named(12)
        );
        assert_eq!(
            answer("permessage-deflate; client_max_window_bits=8"),
            Some((15, 9, PLAIN.to_owned()))
        );
        assert_eq!(
            answer("permessage-deflate; client_max_window_bits"),
            Some((15, 15, PLAIN.to_owned()))
        );
    }

    /// RFC 7692 §7.1: unknown, repeated or ill-valued parameters.
    #[test]
    fn an_offer_with_a_wrong_parameter_is_declined() {
        for params in [
            "unknown",
            "server_no_context_takeover=1",
            "client_no_context_takeover=\"true\"",
            "server_no_context_takeover; server_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=10",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "client_max_window_bits=+9",
        ] {
            assert_eq!(
                answer(&format!("permessage-deflate; {params}")),
                None,
                "{params}"
            );
        }
    }

    /// RFC 7692 §5.1, §5.2: several offers, the first acceptable one is taken.
    #[test]
    fn the_first_acceptable_of_several_offers_is_taken() {
        let line = "permessage-snappy, permessage-deflate; server_max_window_bits=8, \
            permessage-deflate; server_max_window_bits=\"10\", permessage-deflate";

        assert_eq!(
            answer(line),
            Some((10, 15, format!("{PLAIN}; server_max_window_bits=10")))
        );
        assert_eq!(answer("x-webkit-deflate-frame, permessage-snappy"), None);
    }

    #[test]
    fn a_clients_offer_is_accepted_by_the_own_server() {
        for (server, client) in [(15, 15), (9, 15), (15, 9), (12, 10)] {
            let config = DeflateConfig {
                server_window_max: bits(server),
                client_window_max: bits(client),
            };
            let offers = offer(&config);
            let offers = extension::parse(offers.as_bytes()).unwrap();
            let (params, line) = choose(offers.iter(), &DeflateConfig::default()).unwrap();
            let answers = extension::parse(line.as_bytes()).unwrap();

            assert_eq!(agreed(&answers[0], &config), Some(params));
            assert_eq!(
                params,
                DeflateParams {
                    server_window: bits(server),
                    client_window: bits(client)
                }
            );
        }
    }

    /// RFC 7692 §7.1: an answer that does not fit the offer fails the connection.
    #[test]
    fn an_answer_that_does_not_fit_is_refused() {
        let config = DeflateConfig {
            server_window_max: bits(12),
            ..DeflateConfig::default()
        };
        for answer in [
            "permessage-deflate; server_max_window_bits=12",
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=13",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=8",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; other",
            "permessage-snappy",
        ] {
            let answers = extension::parse(answer.as_bytes()).unwrap();

            assert_eq!(agreed(&answers[0], &config), None, "{answer}");
        }
    }
}
