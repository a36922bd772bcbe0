//! How many files, and so connections, the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files to what the system allows this process at most, and says what it is then. `None` means no limit.
///
/// Every connection is a file; the limit that a shell gives is often 1024, kept low for programs that still use `select`.
pub(crate) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, limit = limit.current, "the limit of open files stays as it is");
            limit.current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_what_the_system_allows_at_most() {
        let raised = raise();

        let limit = getrlimit(Resource::Nofile);
        assert_eq!(raised, limit.maximum);
        assert_eq!(limit.current, limit.maximum);
    }
}
