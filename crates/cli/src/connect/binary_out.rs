//! Binary messages into files.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Where the bytes of binary messages go.
pub(super) enum BinaryOut {
    /// A file each, with numbers as names.
    Folder { path: PathBuf, count: u64 },
    /// One after the other.
    File(File),
}

impl BinaryOut {
    /// A folder that exists, or a path that ends with a slash, gets a file for each message; anything else is a file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let is_folder = path.is_dir() || path.to_string_lossy().ends_with('/');
        if is_folder {
            std::fs::create_dir_all(path)?;
            return Ok(Self::Folder {
                path: path.to_owned(),
                count: 0,
            });
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self::File(file))
    }

    /// Writes one message. Files that are there are not overwritten.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes),
            Self::Folder { path, count } => loop {
                *count += 1;
                let name = path.join(format!("message-{count:06}.bin"));
                match File::create_new(name) {
                    Ok(mut file) => return file.write_all(bytes),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gets_a_file_for_each_message_and_none_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("message-000001.bin"), "mine").unwrap();
        let mut out = BinaryOut::open(folder.path()).unwrap();

        out.write(b"a").unwrap();
        out.write(b"b").unwrap();

        let read = |number| {
            std::fs::read(folder.path().join(format!("message-00000{number}.bin"))).unwrap()
        };
        assert_eq!([read(1), read(2), read(3)], [&b"mine"[..], b"a", b"b"]);
    }

    #[test]
    fn a_file_gets_them_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all");
        let mut out = BinaryOut::open(&path).unwrap();

        out.write(b"a").unwrap();
        out.write(b"b").unwrap();

        assert_eq!(std::fs::read(path).unwrap(), b"ab");
    }
}
