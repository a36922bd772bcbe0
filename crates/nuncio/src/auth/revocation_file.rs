//! Revocations, kept over a restart: a file beside the store.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nuncio_model::UserId;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Revocation, Revocations};

/// The file. It is written whole at each revocation, first under another name, so that a crash leaves the old one or the new one.
#[derive(Debug)]
pub(crate) struct RevocationFile {
    path: PathBuf,
    writing: Mutex<()>,
}

/// The file cannot be read. Tokens that were revoked must not be good again, so the server does not start.
#[derive(Debug, thiserror::Error)]
#[error(
    "the revoked tokens are in {}, which cannot be read: {error}; repair it, or remove it when no token of before is good any more", path.display()
)]
pub struct RevocationFileError {
    path: PathBuf,
    error: io::Error,
}

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issued_before: Option<u64>,
    until: u64,
}

impl RevocationFile {
    /// Reads what is kept in a folder, where there is something.
    ///
    /// # Errors
    /// [`RevocationFileError`].
    pub(crate) fn open(
        folder: &Path,
        revocations: &Revocations,
        now_unix_s: u64,
    ) -> Result<Self, RevocationFileError> {
        let path = folder.join("revocations");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(RevocationFileError { path, error }),
        };
        for line in text.lines() {
            if let Err(error) = restore(line, revocations, now_unix_s) {
                return Err(RevocationFileError { path, error });
            }
        }
        Ok(Self {
            path,
            writing: Mutex::default(),
        })
    }

    /// Writes what holds at present. Blocks: not for a thread that serves clients.
    pub(crate) fn keep(&self, revocations: &Revocations, now_unix_s: u64) -> io::Result<()> {
        let _writing = self.writing.lock();
        let mut text = String::new();
        for (revocation, until) in revocations.entries(now_unix_s) {
            text += &serde_json::to_string(&entry(revocation, until))?;
            text.push('\n');
        }
        let draft = self.path.with_extension("new");
        let mut file = File::create(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        File::open(folder)?.sync_all()
    }
}

fn restore(line: &str, revocations: &Revocations, now: u64) -> io::Result<()> {
    let entry: Entry = serde_json::from_str(line)?;
    let revocation = match (entry.token_id, entry.user_id, entry.issued_before) {
        (Some(id), None, None) => Revocation::Token(id),
        (None, Some(user), Some(issued_before)) => Revocation::User {
            user,
            issued_before,
        },
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a line is no revocation",
            ));
        }
    };
    if entry.until > now {
        let revoked = revocations.revoke(revocation, entry.until, now);
        revoked.map_err(io::Error::other)?;
    }
    Ok(())
}

fn entry(revocation: Revocation, until: u64) -> Entry {
    match revocation {
        Revocation::Token(id) => Entry {
            token_id: Some(id),
            user_id: None,
            issued_before: None,
            until,
        },
        Revocation::User {
            user,
            issued_before,
        } => Entry {
            token_id: None,
            user_id: Some(user),
            issued_before: Some(issued_before),
            until,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_but_for_what_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (ann, before) = (UserId::parse("ann").unwrap(), Revocations::default());
        let file = RevocationFile::open(folder.path(), &before, 1000).unwrap();
        let user = Revocation::User {
            user: ann.clone(),
            issued_before: 900,
        };
        before.revoke(user, 2000, 1000).unwrap();
        before
            .revoke(Revocation::Token("t1".into()), 1500, 1000)
            .unwrap();
        before
            .revoke(Revocation::Token("a \"b\"\n".into()), 2000, 1000)
            .unwrap();

        file.keep(&before, 1000).unwrap();
        let after = Revocations::default();
        RevocationFile::open(folder.path(), &after, 1500).unwrap();

        let bob = UserId::parse("bob").unwrap();
        assert!(after.hit(&ann, Some(899), None) && !after.hit(&ann, Some(900), None));
        assert!(after.hit(&bob, None, Some("a \"b\"\n")) && !after.hit(&bob, None, Some("t1")));
        assert_eq!(after.len(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_and_not_an_empty_list() {
        for text in [
            "{",
            "{\"until\":5}\n",
            "{\"tokenId\":\"a\",\"userId\":\"b\",\"until\":5}",
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("revocations"), text).unwrap();

            let error =
                RevocationFile::open(folder.path(), &Revocations::default(), 1).unwrap_err();

            assert!(error.to_string().contains("repair it"), "{error}");
        }
    }
}
