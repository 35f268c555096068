//! The built program.

use super::{LIMIT, wait_until};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tempfile::TempDir;

/// A running `halyard run`, which ends with its value. When its test fails, its log is printed.
pub struct Program {
    process: Child,
    folder: TempDir,
    /// What outlives the process in memory, where there is such a place.
    memory: Option<TempDir>,
    log: Arc<Mutex<String>>,
}

/// The program with nothing of this process's surroundings that it reacts to; what it keeps goes to `folder`.
pub fn command(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_halyard"));
    for variable in ["STATE_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM"] {
        command.env_remove(variable);
    }
    command.current_dir(folder).env("XDG_STATE_HOME", folder.path().join("state")).env("HALYARD_LOG", "debug");
    command
}

/// What `JOURNAL_STREAM` has to be for whoever writes to this.
pub fn journal(writer: &impl AsRawFd) -> String {
    let file = std::fs::metadata(format!("/proc/self/fd/{}", writer.as_raw_fd())).unwrap();
    format!("{}:{}", file.dev(), file.ino())
}

/// Runs a command to its end.
#[track_caller]
pub fn halyard<A: AsRef<OsStr>>(folder: &TempDir, arguments: impl IntoIterator<Item = A>) -> Output {
    command(folder).args(arguments).stdin(Stdio::null()).output().unwrap()
}

impl Program {
    /// `halyard run` with this configuration.
    pub fn run(configuration: &str) -> Self {
        Self::run_with(configuration, |_| {})
    }

    /// The same, with a last word about the command.
    pub fn run_with(configuration: &str, adjust: impl FnOnce(&mut Command)) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("config.yaml"), configuration).unwrap();
        let memory = TempDir::new_in("/dev/shm").ok();
        let log = Arc::new(Mutex::new(String::new()));
        let process = spawn(&folder, memory.as_ref(), &log, adjust);
        Self { process, folder, memory, log }
    }

    /// Kills it, and starts it again in the same folder.
    pub fn kill_and_run_again(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.run_again(|_| {});
    }

    /// Starts it again in the same folder, when it has ended. Its log goes on.
    pub fn run_again(&mut self, adjust: impl FnOnce(&mut Command)) {
        assert!(!self.runs());
        self.process = spawn(&self.folder, self.memory.as_ref(), &self.log, adjust);
    }

    /// Runs another command of the program to its end, where this one runs or ran.
    pub fn beside(&self, arguments: &[&str]) -> Output {
        halyard(&self.folder, arguments)
    }

    /// Number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where it keeps what has to survive a restart.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state/halyard")
    }

    /// What it keeps of its actuators from one run to the next.
    pub fn kept(&self) -> String {
        std::fs::read_to_string(self.state().join("actuators.json")).unwrap_or_default()
    }

    /// The configuration's file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// Another content for the configuration's file.
    pub fn write(&self, configuration: &str) {
        std::fs::write(self.file(), configuration).unwrap();
    }

    /// All that it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged this.
    #[track_caller]
    pub fn logs(&self, text: &str) {
        wait_until(&format!("the log says {text:?}"), || self.log().contains(text));
    }

    /// Sends a signal.
    pub fn signal(&self, signal: libc::c_int) {
        let process = libc::pid_t::try_from(self.process.id()).unwrap();
        // SAFETY: the process is a child that nobody has waited for, so its number is its own.
        assert_eq!(unsafe { libc::kill(process, signal) }, 0);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn exit(&mut self) -> ExitStatus {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not end within {LIMIT:?}");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

fn spawn(
    folder: &TempDir,
    memory: Option<&TempDir>,
    log: &Arc<Mutex<String>>,
    adjust: impl FnOnce(&mut Command),
) -> Child {
    let mut command = command(folder);
    let (reader, writer) = std::io::pipe().unwrap();
    command.args(["run", "-c", "config.yaml"]).stdin(Stdio::null());
    command.env("RUNTIME_DIRECTORY", memory.unwrap_or(folder).path());
    adjust(&mut command);
    if command.get_envs().any(|(name, value)| name == "JOURNAL_STREAM" && value.is_some()) {
        command.env("JOURNAL_STREAM", journal(&writer));
    }
    let process = command.stderr(writer).spawn().unwrap();
    let lines = BufReader::new(reader).lines();
    let of_thread = log.clone();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let mut log = of_thread.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    process
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("---- log of the program\n{}----", self.log());
        }
    }
}
