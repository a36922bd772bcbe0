//! The native JSON protocol of nuncio: decode commands, encode replies and pushes.
