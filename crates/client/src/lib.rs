//! Clients for nuncio and for any WebSocket server.
