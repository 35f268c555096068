//! Where an agent keeps what waits: on disk, and in memory that outlives the process.

use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The folders of one agent's store.
#[derive(Clone, Debug)]
pub struct Places {
    /// On disk.
    pub disk: PathBuf,
    /// In memory that outlives the process; without it, all goes to the disk at once.
    pub memory: Option<PathBuf>,
    /// Where that may have been in an earlier run, which was started in another way.
    pub earlier: Vec<PathBuf>,
}

impl Places {
    /// Those of the agent with this id, below a state directory.
    #[must_use]
    pub fn new(state_directory: &Path, agent: &str) -> Self {
        let disk = state_directory.join("outbox").join(agent);
        let name = format!("outbox-{:016x}", hash(&disk));
        let memory = memory_folder().map(|folder| folder.join(&name));
        let earlier = usual_folders().into_iter().map(|folder| folder.join(&name));
        let earlier = earlier.filter(|folder| memory.as_ref() != Some(folder)).collect();
        Self { disk, memory, earlier }
    }
}

/// The first that there is: what systemd made for the service, what the user's session has, what every Linux has.
fn memory_folder() -> Option<PathBuf> {
    let named = |variable| std::env::var_os(variable).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    if let Some(folder) = named("RUNTIME_DIRECTORY") {
        // Whoever names one that is no such thing wants all on disk at once.
        return Some(folder).filter(|folder| is_memory(folder));
    }
    let session = named("XDG_RUNTIME_DIR").filter(|folder| is_memory(folder)).map(|folder| folder.join("halyard"));
    session.or_else(shared)
}

/// Where a service, a user's session and others have it, whichever of them this is.
fn usual_folders() -> Vec<PathBuf> {
    let user = user();
    let mut folders = vec![
        PathBuf::from("/run/halyard"),
        format!("/run/user/{user}/halyard").into(),
        format!("/dev/shm/halyard-{user}").into(),
    ];
    folders.retain(|folder| is_memory(folder) && is_ours(folder));
    folders
}

/// Whether nobody else can have put there what is in it.
fn is_ours(folder: &Path) -> bool {
    std::fs::symlink_metadata(folder)
        .is_ok_and(|found| found.is_dir() && found.uid() == user() && found.mode() & 0o022 == 0)
}

fn user() -> libc::uid_t {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// A folder of ours in `/dev/shm`, where others may have been before.
fn shared() -> Option<PathBuf> {
    let parent = Path::new("/dev/shm");
    let user = user();
    let folder = parent.join(format!("halyard-{user}"));
    if !is_memory(parent) {
        return None;
    }
    // If it is there already, it may be ours.
    let _ = DirBuilder::new().mode(0o700).create(&folder);
    let found = std::fs::symlink_metadata(&folder).ok()?;
    (found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0).then_some(folder)
}

/// Whether it is on a file system in memory.
fn is_memory(folder: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(folder.as_os_str().as_bytes()) else { return false };
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path ends with a zero, and the structure is filled when the result is 0.
    let kind = unsafe {
        if libc::statfs(path.as_ptr(), found.as_mut_ptr()) != 0 {
            return false;
        }
        found.assume_init().f_type
    };
    // The type of this field is another one on each architecture; the numbers (statfs(2)) fit all.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
    let kind = kind as u32;
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    matches!(kind, TMPFS | RAMFS)
}

/// FNV-1a: agents with other state directories have other journals.
fn hash(path: &Path) -> u64 {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agent_has_places_of_its_own() {
        let one = Places::new(Path::new("/var/lib/halyard"), "shed");
        assert_eq!(one.disk, Path::new("/var/lib/halyard/outbox/shed"));
        assert_ne!(one.memory, Places::new(Path::new("/var/lib/halyard"), "barn").memory.or(Some(PathBuf::new())));
    }

    #[test]
    fn memory_is_told_from_disk() {
        assert!(!is_memory(Path::new("/proc")) && !is_memory(Path::new("/no/such/place")));
    }
}
