//! A section of the configuration: its keys are declared once, and the file, the environment, `--set` and the reference page follow from that.

use toml::Value;

use super::setting::{Raw, Wrong};

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its whole name, as in `--set`: `limits.message_bytes`.
    pub name: String,
    /// What may be written: "duration", "list of text".
    pub kind: String,
    /// What it means, in Markdown.
    pub doc: String,
}

impl Key {
    /// The environment variable that sets it: `NUNCIO_LIMITS_MESSAGE_BYTES`.
    pub fn variable(&self) -> String {
        format!("NUNCIO_{}", self.name.replace('.', "_").to_uppercase())
    }
}

/// A table of the configuration file.
pub(crate) trait Section {
    /// Its name: `server.tls`.
    fn name(&self) -> &'static str;
    /// What it is about, in Markdown.
    fn about(&self) -> String;
    /// Its keys, in order.
    fn keys(&self) -> Vec<Key>;
    /// Sets the field of that name; `None` when there is none.
    fn set(&mut self, field: &str, raw: Raw<'_>) -> Option<Result<(), Wrong>>;
    /// Its values, in the order of the keys.
    fn values(&self) -> Vec<Option<Value>>;
}

/// Declares a section: the struct, its default and its keys, whose documentation is the fields'.
macro_rules! section {
    ($(#[doc = $about:literal])* $struct:ident in $section:literal {
        $($(#[doc = $doc:literal])* $field:ident: $type:ty = $default:expr,)*
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub struct $struct {
            $($(#[doc = $doc])* pub $field: $type,)*
        }

        impl Default for $struct {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Section for $struct {
            fn name(&self) -> &'static str {
                $section
            }

            fn about(&self) -> String {
                [$($about),*].map(str::trim).join("\n")
            }

            fn keys(&self) -> Vec<Key> {
                vec![$(Key {
                    name: concat!($section, ".", stringify!($field)).to_owned(),
                    kind: <$type as Setting>::kind(),
                    doc: [$($doc),*].map(str::trim).join(" "),
                }),*]
            }

            fn set(&mut self, field: &str, raw: Raw<'_>) -> Option<Result<(), Wrong>> {
                match field {
                    $(stringify!($field) => Some(Setting::read(raw).map(|value| self.$field = value)),)*
                    _ => None,
                }
            }

            fn values(&self) -> Vec<Option<Value>> {
                vec![$(self.$field.to_value()),*]
            }
        }
    };
}
pub(crate) use section;
