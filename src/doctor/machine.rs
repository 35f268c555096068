//! The machine as its files show it.

use halyard_drivers::sort::sort;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whose rights are looked at.
#[derive(Clone, Debug)]
pub struct User {
    /// Name.
    pub name: String,
    /// Number; 0 may do everything.
    pub id: u32,
    /// The numbers of the groups that the process is a member of.
    pub groups: Vec<u32>,
}

/// A machine, by its file system.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
    user: User,
}

/// Whether a device can be opened for reading and writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It can.
    Fine,
    /// There is no such file.
    Missing,
    /// The user is no member of this group, which may.
    NotIn(String),
    /// The user is a member of this group, but was not yet when this session began.
    Since(String),
    /// No group may.
    Nobody,
}

impl Machine {
    /// This machine and the user who runs this.
    #[must_use]
    pub fn this() -> Self {
        // SAFETY: neither call can fail, and no memory is involved.
        let (id, group) = unsafe { (libc::geteuid(), libc::getegid()) };
        // SAFETY: with no room given, only the number of groups is returned.
        let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
        let mut groups = vec![0; usize::try_from(count).unwrap_or_default()];
        // SAFETY: there is room for as many groups as are said.
        let count = unsafe { libc::getgroups(count, groups.as_mut_ptr()) };
        groups.truncate(usize::try_from(count).unwrap_or_default());
        groups.push(group);
        let machine = Self { root: "/".into(), user: User { name: id.to_string(), id, groups } };
        let name = machine.entry("etc/passwd", 2, &id.to_string()).map(|fields| fields[0].clone());
        Self { user: User { name: name.unwrap_or(machine.user.name), ..machine.user }, ..machine }
    }

    /// A machine whose `/` is at `root`.
    pub fn at(root: impl Into<PathBuf>, user: User) -> Self {
        Self { root: root.into(), user }
    }

    /// Where its `/` is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whose rights are looked at.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Where `path`, absolute or not, is.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether there is such a file.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// The text of a file.
    pub fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_matches(['\0', '\n', ' ']).to_owned())
    }

    /// The names in a folder, sorted.
    pub fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        sort(&mut names);
        names
    }

    /// Whether it is a Raspberry Pi, which has `config.txt` and `raspi-config`.
    #[must_use]
    pub fn is_raspberry_pi(&self) -> bool {
        self.text("proc/device-tree/model").is_some_and(|model| model.contains("Raspberry Pi"))
    }

    /// A file of the boot partition: its path, and what is in it.
    #[must_use]
    pub fn boot_file(&self, name: &str) -> (String, String) {
        let paths = ["boot/firmware", "boot"].map(|folder| format!("{folder}/{name}"));
        let found = paths.iter().find_map(|path| Some((format!("/{path}"), self.text(path)?)));
        found.unwrap_or_else(|| (format!("/{}", paths[0]), String::new()))
    }

    /// Processes that run this program: number and arguments.
    #[must_use]
    pub fn processes(&self, program: &str) -> Vec<(u32, Vec<String>)> {
        let numbers = self.names("proc").into_iter().filter_map(|name| name.parse::<u32>().ok());
        let of_program = |id: &u32| self.text(format!("proc/{id}/comm")).as_deref() == Some(program);
        let arguments = |id: u32| {
            let line = self.text(format!("proc/{id}/cmdline")).unwrap_or_default();
            line.split('\0').map(str::to_owned).collect()
        };
        numbers.filter(of_program).map(|id| (id, arguments(id))).collect()
    }

    /// Whether the user can open a device for reading and writing.
    pub fn access(&self, path: impl AsRef<Path>) -> Access {
        let Ok(file) = fs::metadata(self.path(path)) else { return Access::Missing };
        let User { name, id, groups } = &self.user;
        let both = |shift: u32| file.mode() >> shift & 0o6 == 0o6;
        let allowed = *id == 0 || if file.uid() == *id { both(6) } else { groups.contains(&file.gid()) && both(3) };
        if allowed || both(0) {
            return Access::Fine;
        }
        let group = self.entry("etc/group", 2, &file.gid().to_string());
        match group {
            Some(fields) if both(3) && file.gid() != 0 => {
                let member = fields.get(3).is_some_and(|members| members.split(',').any(|member| member == name));
                let group = fields[0].clone();
                if member { Access::Since(group) } else { Access::NotIn(group) }
            }
            _ => Access::Nobody,
        }
    }

    /// The fields of the line of a file such as `/etc/group` whose field `index` is `value`.
    fn entry(&self, path: &str, index: usize, value: &str) -> Option<Vec<String>> {
        let text = self.text(path)?;
        let mut lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
        lines.find(|fields| fields.get(index).is_some_and(|field| field == value))
    }
}
