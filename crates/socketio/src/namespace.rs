//! The name of a namespace.

use std::fmt;
use std::sync::Arc;

/// The name of a namespace: `/`, or a slash and more. Cheap to clone; `/` holds no memory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Namespace(Option<Arc<str>>);

impl Namespace {
    /// The main namespace, `/`.
    pub const MAIN: Self = Self(None);

    /// A namespace by its name. A missing leading slash is added, as the reference's `io.of("chat")` does.
    pub fn new(name: &str) -> Self {
        match name.strip_prefix('/') {
            Some("") => Self::MAIN,
            Some(_) => Self(Some(name.into())),
            None if name.is_empty() => Self::MAIN,
            None => Self(Some(format!("/{name}").into())),
        }
    }

    /// The name, with its leading slash.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("/")
    }

    /// Whether this is `/`.
    pub fn is_main(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
