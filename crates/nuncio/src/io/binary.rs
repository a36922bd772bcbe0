//! Binary data inside what is emitted and received.

use std::cell::RefCell;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Binary data as an argument, or anywhere inside one: a `Buffer` or `ArrayBuffer` of a Socket.IO client.
///
/// ```
/// use nuncio::io::Binary;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Picture {
///     name: String,
///     pixels: Binary,
/// }
/// ```
///
/// It travels beside the JSON text, uncopied. Native clients, who speak text only, find a placeholder in its place (`protocol.md`, "Events").
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Binary(pub Bytes);

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Binary {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Shows how much it is, not what.
impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binary({} bytes)", self.0.len())
    }
}

/// The attachments of what this thread is just writing or reading. Values are serialized in one go, so they cannot meet those of another.
#[derive(Default)]
enum Beside {
    #[default]
    Nothing,
    Written(Vec<Bytes>),
    Read(Vec<Bytes>),
}

thread_local! {
    static BESIDE: RefCell<Beside> = const { RefCell::new(Beside::Nothing) };
}

/// Runs `write`, and returns the binary data that was in what it wrote.
pub(super) fn writing<T>(write: impl FnOnce() -> T) -> (T, Box<[Bytes]>) {
    BESIDE.set(Beside::Written(Vec::new()));
    let written = write();
    match BESIDE.take() {
        Beside::Written(attachments) => (written, attachments.into()),
        Beside::Nothing | Beside::Read(_) => (written, Box::default()),
    }
}

/// Runs `read`, which finds these attachments in the place of their placeholders.
pub(super) fn reading<T>(attachments: &[Bytes], read: impl FnOnce() -> T) -> T {
    BESIDE.set(Beside::Read(attachments.to_vec()));
    let read = read();
    BESIDE.set(Beside::Nothing);
    read
}

#[derive(Serialize, Deserialize)]
struct Placeholder {
    _placeholder: bool,
    num: usize,
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = BESIDE.with_borrow_mut(|beside| match beside {
            Beside::Written(attachments) => {
                attachments.push(self.0.clone());
                Ok(attachments.len() - 1)
            }
            Beside::Nothing | Beside::Read(_) => Err(serde::ser::Error::custom(
                "binary data can only be part of what is emitted or answered",
            )),
        })?;
        let placeholder = Placeholder {
            _placeholder: true,
            num: number,
        };
        placeholder.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Placeholder { num, .. } = Placeholder::deserialize(deserializer)
            .map_err(|_| serde::de::Error::custom("it must be binary data"))?;
        let found = BESIDE.with_borrow(|beside| match beside {
            Beside::Read(attachments) => attachments.get(num).cloned(),
            Beside::Nothing | Beside::Written(_) => None,
        });
        found
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("it must be binary data"))
    }
}
