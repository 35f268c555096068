//! What a process of the agent is like, before it does anything.

use tracing::warn;

/// To be called once, before there are threads.
pub fn prepare() {
    no_core();
    few_arenas();
}

/// After a crash no core is written: it would have the passwords in it. `prlimit --core=unlimited --pid PID` allows one all the
/// same, to whoever may look into the process anyway.
fn no_core() {
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

/// glibc gives threads that allocate at the same moment arenas of their own, 8 for each processor, none of which gives back what
/// it once had. Our many threads wait for hardware, and hardly ever meet there: two do. (What it keeps for each thread besides
/// can only be turned off from outside, as the unit does.)
fn few_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: there is no other thread yet. It cannot fail: 2 is a number of arenas.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
