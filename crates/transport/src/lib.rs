//! Drivers that carry sessions over tokio and hyper: sockets, TLS, upgrade, flush.
