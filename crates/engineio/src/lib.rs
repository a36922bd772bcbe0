//! Engine.IO protocol 4 and 3 as a sans-IO state machine.
