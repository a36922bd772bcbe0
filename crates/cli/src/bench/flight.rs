//! Which publishes are in flight: a publish is, until every member received it.

/// Counts deliveries per member and tells which publications reached all of them.
///
/// Every member gets a room's publications in one order, so the n-th delivery to a member is the n-th publication, and a
/// counter per member and one per publication in flight are enough; no payload is looked at.
#[derive(Debug)]
pub(crate) struct Flight {
    window: u64,
    /// Deliveries so far, by member.
    received: Vec<u64>,
    /// How many members each publication in flight has reached, by its number modulo the window.
    reached: Vec<usize>,
    published: u64,
    completed: u64,
    acknowledged: u64,
}

impl Flight {
    /// Nothing in flight; at most `window` publishes to `members` members will be.
    pub(crate) fn new(members: usize, window: u64) -> Self {
        // A window is a command line's small number.
        let reached = vec![0; window as usize];
        Self {
            window,
            received: vec![0; members],
            reached,
            published: 0,
            completed: 0,
            acknowledged: 0,
        }
    }

    /// Takes the next publish if the window has room for it, and gives its number.
    pub(crate) fn begin(&mut self) -> Option<u64> {
        let number = self.published;
        let fits = number - self.completed < self.window;
        fits.then(|| {
            self.published += 1;
            number
        })
    }

    /// One delivery to `member`.
    ///
    /// # Panics
    /// When the member received more than was published: the server delivered something twice.
    pub(crate) fn delivered(&mut self, member: usize) {
        let number = self.received[member];
        assert!(
            number < self.published,
            "member {member} received {} of {} publications",
            number + 1,
            self.published
        );
        self.received[member] += 1;
        let slot = (number % self.window) as usize;
        self.reached[slot] += 1;
        if self.reached[slot] == self.received.len() {
            self.reached[slot] = 0;
            self.completed += 1;
        }
    }

    /// One publish was acknowledged to its publisher.
    pub(crate) fn acknowledged(&mut self) {
        self.acknowledged += 1;
    }

    /// Publications that reached every member.
    pub(crate) fn completed(&self) -> u64 {
        self.completed
    }

    /// Whether all that was published was delivered and acknowledged.
    pub(crate) fn is_landed(&self) -> bool {
        self.completed == self.published && self.acknowledged == self.published
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_in_flight_until_the_last_member_received_it() {
        let mut flight = Flight::new(2, 1);
        assert_eq!(flight.begin(), Some(0));

        flight.delivered(1);
        assert_eq!(flight.begin(), None);

        flight.delivered(0);
        assert_eq!(flight.begin(), Some(1));
        assert_eq!(flight.completed(), 1);
    }

    #[test]
    fn a_member_may_run_ahead_by_the_window() {
        let mut flight = Flight::new(2, 3);
        while flight.begin().is_some() {}

        for _ in 0..3 {
            flight.delivered(0);
        }
        assert_eq!(flight.completed(), 0);
        flight.delivered(1);

        assert_eq!(flight.completed(), 1);
        assert_eq!(flight.begin(), Some(3));
        flight.delivered(0);
        assert_eq!(flight.completed(), 1);
    }

    #[test]
    fn it_has_landed_only_with_its_acknowledgement() {
        let mut flight = Flight::new(1, 1);
        flight.begin();
        flight.delivered(0);
        assert!(!flight.is_landed());

        flight.acknowledged();

        assert!(flight.is_landed());
    }

    #[test]
    #[should_panic(expected = "member 0 received 2 of 1 publications")]
    fn a_delivery_too_many_is_noticed() {
        let mut flight = Flight::new(1, 1);
        flight.begin();

        flight.delivered(0);
        flight.delivered(0);
    }
}
