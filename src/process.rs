//! What a process of the agent is like, before it does anything.

use tracing::warn;

/// One heap for all threads. glibc keeps a cache for each thread and an arena for each that meets another, and gives back neither;
/// we have a worker for each sensor that waits for its part, and they take turns, so that memory would grow for hours.
/// (A fuzzer watches the system's allocator.)
#[cfg(not(fuzzing))]
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// After a crash no core is written: it would have the passwords in it. `prlimit --core=unlimited --pid PID` allows one all the
/// same, to whoever may look into the process anyway.
pub fn no_core() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a structure that lives until they return.
    let done = unsafe {
        libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit) == 0 && {
            limit.rlim_cur = 0;
            libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) == 0
        }
    };
    if !done {
        warn!("cores cannot be turned off: {}", std::io::Error::last_os_error());
    }
}
