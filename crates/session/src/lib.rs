//! One client's conversation as a sans-IO state machine.
