//! Socket.IO protocol 5 and 4 as a sans-IO state machine.
