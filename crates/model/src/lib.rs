//! The vocabulary of nuncio: ids, names, commands, replies, publications, error and close codes, limits.
