//! The demo's secret: made once and kept with the data, so that a page in a browser survives a restart of the server.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::DemoSecretError;
use crate::config::Secret;

/// Reads the secret, or makes it with its folder. Of two that make it at once, both get the same one.
pub(super) fn open(path: &Path) -> Result<Secret, DemoSecretError> {
    let failed = |error| DemoSecretError::Io {
        path: path.to_owned(),
        error,
    };
    if !path.exists() {
        create(path, &random()?).map_err(failed)?;
    }
    let secret = Secret::new(fs::read_to_string(path).map_err(failed)?.trim());
    if secret.as_bytes().len() < Secret::BYTES_MIN {
        let (path, min) = (path.to_owned(), Secret::BYTES_MIN);
        return Err(DemoSecretError::TooShort { path, min });
    }
    Ok(secret)
}

fn random() -> Result<String, DemoSecretError> {
    let mut bytes = [0; Secret::BYTES_MIN];
    getrandom::fill(&mut bytes).map_err(|error| DemoSecretError::Random(error.to_string()))?;
    Ok(BASE64.encode(bytes))
}

/// Writes a file of our own first, then gives it its name: whoever sees the name sees the whole secret, and nobody's is replaced.
fn create(path: &Path, secret: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let written = write_private(&draft, secret).and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.exists() => Ok(()),
        written => written,
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/demo-secret");

        let made = open(&path).unwrap();

        assert!(made.as_bytes().len() >= Secret::BYTES_MIN);
        assert_eq!(open(&path).unwrap(), made);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "no draft is left"
        );
    }

    #[test]
    fn a_secret_made_by_somebody_else_in_between_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo-secret");
        create(&path, "the first").unwrap();

        create(&path, "the second").unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "the first\n");
    }

    #[test]
    fn a_file_that_holds_no_secret_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo-secret");
        fs::write(&path, "short").unwrap();

        let error = open(&path).unwrap_err().to_string();

        assert!(
            error.contains("demo-secret") && error.contains("remove the file"),
            "{error}"
        );
        assert!(!error.contains("short"), "{error}");
    }
}
