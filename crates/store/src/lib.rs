//! The embedded durable history of nuncio, on redb.
