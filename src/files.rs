//! Files that the agent keeps: for itself only.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Error, Result, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Replaces a file: whole or not at all, also when the power fails, and for good when this returns. What root writes is the
/// folder's owner's: the agent has to be able to read it.
///
/// # Errors
/// As the operating system has them; the file is as it was then, or after the next failure of the power.
pub fn replace(file: &Path, text: &str) -> Result<()> {
    let new = file.with_extension("new");
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What is left of an earlier try, or what somebody else has put there, is not written to.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    if let Ok(owner) = std::fs::metadata(folder)
        && owner.uid() != out.metadata()?.uid()
    {
        // Nobody but root may, and others need not.
        let _ = fchown(&out, Some(owner.uid()), Some(owner.gid()));
    }
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    std::fs::rename(new, file)?;
    // Which file has the name is the folder's content.
    sync_folder(folder)
}

/// Brings to the disk which files and folders there are in a folder.
///
/// # Errors
/// As the operating system has them.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder that only we can look into, or makes sure that one that is there is such.
///
/// # Errors
/// As the operating system has them; and when it is not ours, but others may write to it.
pub fn private_folder(folder: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let found = std::fs::metadata(folder)?;
    if found.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(folder, Permissions::from_mode(0o700)) {
        Err(_) if found.mode() & 0o022 != 0 => Err(Error::other("others may write to it")),
        // Who may read what an actuator was may read it at the broker as well.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_for_nobody_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        private_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        private_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);

        let file = folder.join("actuators.json");
        replace(&file, "one").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        // Somebody wants another file to be overwritten.
        let victim = root.path().join("victim");
        std::fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, file.with_extension("new")).unwrap();
        replace(&file, "two").unwrap();
        assert_eq!((std::fs::read_to_string(&file).unwrap().as_str(), mode(&file)), ("two", 0o600));
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
    }

    #[test]
    fn what_root_writes_is_the_folders_owners() {
        const NOBODY: u32 = 65_534;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("actuators.json");
        replace(&file, "mine").unwrap();
        let own = std::fs::metadata(&file).unwrap().uid();
        if std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).is_err() {
            return; // not root
        }
        replace(&file, "theirs").unwrap();
        let owner = std::fs::metadata(&file).unwrap();
        assert_eq!((owner.uid(), owner.gid(), mode(&file)), (NOBODY, NOBODY, 0o600));
        assert_ne!(own, NOBODY);
    }
}
