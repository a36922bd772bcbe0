//! What a room keeps and announces, decided by its name.

use nuncio_model::{HistoryLimits, Namespace, Pattern};

/// Where a room's publications are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// In the store: stored, then visible, then acknowledged.
    Durable,
    /// In memory: a restart begins a new epoch.
    Memory,
}

/// What holds for the rooms of one pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPolicy {
    /// Where publications are kept.
    pub durability: Durability,
    /// How many of them, and for how long. `messages_max` 0 keeps none.
    pub history: HistoryLimits,
    /// Whether members are told who comes and goes.
    pub presence: bool,
}

impl RoomPolicy {
    /// The defaults for a place to keep publications: everything on.
    pub fn new(durability: Durability) -> Self {
        Self {
            durability,
            history: HistoryLimits::default(),
            presence: true,
        }
    }
}

/// Says of a namespace whether its rooms are quiet: nobody in them is told who comes and goes.
pub type Quiet = Box<dyn Fn(&Namespace) -> bool + Send + Sync>;

/// Policies by pattern of the room id; the first that matches holds, else the default.
#[derive(Debug, Clone)]
pub struct Policies {
    patterns: Vec<(Pattern, RoomPolicy)>,
    default: RoomPolicy,
}

impl Policies {
    /// Orders the patterns as they are written in the configuration.
    pub const fn new(patterns: Vec<(Pattern, RoomPolicy)>, default: RoomPolicy) -> Self {
        Self { patterns, default }
    }

    /// The policy of a room. O(number of patterns).
    pub fn of(&self, room: &str) -> &RoomPolicy {
        let matching = self
            .patterns
            .iter()
            .find(|(pattern, _)| pattern.matches(room));
        matching.map_or(&self.default, |(_, policy)| policy)
    }

    /// The policy of rooms that no pattern names.
    pub const fn default_policy(&self) -> &RoomPolicy {
        &self.default
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_pattern_holds() {
        let quiet = RoomPolicy {
            presence: false,
            ..RoomPolicy::new(Durability::Memory)
        };
        let policies = Policies::new(
            vec![
                (Pattern::new("tmp:*"), quiet.clone()),
                (Pattern::new("*"), RoomPolicy::new(Durability::Memory)),
            ],
            RoomPolicy::new(Durability::Durable),
        );

        assert_eq!(policies.of("tmp:1"), &quiet);
        assert_eq!(policies.of("lobby").durability, Durability::Memory);
    }
}
