//! Client and server together: protocol v4, "Upgrade", from both ends.

use nuncio_engineio::Transport;
use nuncio_engineio::client::Config;
use proptest::prelude::*;

use crate::network::Network;

#[test]
fn a_client_connects_and_upgrades() {
    let mut network = Network::new(Config::default());

    network.settle();

    assert!(network.is_upgraded);
    assert_eq!(network.client.transport(), Some(Transport::WebSocket));
    assert!(
        network
            .server
            .is_some_and(|server| server.socket().is_some())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_the_timing_nothing_is_lost_or_reordered(
        picks in prop::collection::vec((0_usize..5, 0_usize..4), 0..200),
        transport in prop_oneof![
            3 => Just((Transport::Polling, true)),
            1 => Just((Transport::Polling, false)),
            1 => Just((Transport::WebSocket, true)),
        ],
    ) {
        let mut config = Config::default();
        (config.transport, config.upgrade) = transport;
        let mut network = Network::new(config);
        let (mut from_client, mut from_server) = (0, 0);
        for (pick, act) in picks {
            match act {
                0 => {
                    network.client_sends(&from_client.to_string());
                    from_client += 1;
                }
                1 if network.server.is_some() => {
                    network.server_sends(&from_server.to_string());
                    from_server += 1;
                }
                _ => drop(network.step(pick)),
            }
        }
        network.settle();

        prop_assert_eq!(network.at_server, numbers(from_client));
        prop_assert_eq!(network.at_client, numbers(from_server));
        prop_assert_eq!(network.is_upgraded, transport == (Transport::Polling, true));
    }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}
