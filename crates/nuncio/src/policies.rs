//! What rooms keep and announce.

use nuncio_hub::{Durability, Policies, RoomPolicy};

use crate::config::{CheckedConfig, HistoryMode};

/// What rooms keep and announce, as configured.
pub(crate) fn policies(config: &CheckedConfig) -> Policies {
    let durability = if config.config.store.enabled {
        Durability::Durable
    } else {
        Durability::Memory
    };
    let default = RoomPolicy {
        history: config.history.clone(),
        ..RoomPolicy::new(durability)
    };
    let rules = config.config.rooms.0.iter().map(|rule| {
        let mut policy = default.clone();
        match rule.history {
            Some(HistoryMode::Durable) => policy.durability = Durability::Durable,
            Some(HistoryMode::Memory) => policy.durability = Durability::Memory,
            Some(HistoryMode::None) => {
                policy.durability = Durability::Memory;
                policy.history.messages_max = 0;
            }
            None => {}
        }
        if let Some(messages) = rule.messages {
            policy.history.messages_max = messages;
        }
        policy.presence = rule.presence;
        (rule.pattern.clone(), policy)
    });
    Policies::new(rules.collect(), default)
}
