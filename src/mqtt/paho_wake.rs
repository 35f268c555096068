//! When the send thread of the bundled paho.mqtt.c (1.3.16) is woken.
//!
//! It waits for `send_evt`, which the library signals, first, for each acknowledgement of the broker, in case that a command waits
//! for room; and second, for each new command, while the caller holds the lock of the library and that of the event: the
//! send thread wakes up, waits for one of them, wakes again and waits for the other. On two processors that was a tenth of the time
//! from a command to its result. So `build.rs` makes the linker send these calls here: without a command there is no
//! signal, and what is published signals when all locks are free.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// `evt_type_struct` of Thread.h.
#[repr(C)]
struct Event {
    condition: libc::pthread_cond_t,
    mutex: libc::pthread_mutex_t,
    signalled: c_int,
}

/// `List` of LinkedList.h, up to its count.
#[repr(C)]
struct List {
    ends: [*const c_void; 3],
    count: AtomicI32,
}

unsafe extern "C" {
    /// What the send thread waits for, for a second at most. Made with the library, and never changed.
    static send_evt: *mut Event;
    /// The commands that wait for the send thread. Made with the first client; what changes it holds `mqttcommand_mutex`.
    static MQTTAsync_commands: *const List;
    /// Not 0 when the threads of the library shall end.
    static MQTTAsync_tostop: AtomicI32;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    Now,
    Afterwards,
    /// Afterwards, and there is a reason to.
    Owed,
}

thread_local! {
    /// When this thread wakes the send thread.
    static WAKE: Cell<Wake> = const { Cell::new(Wake::Now) };
}

/// Does something with the library, and wakes the send thread for it when that has returned.
pub(super) fn after<R>(work: impl FnOnce() -> R) -> R {
    /// Wakes it if `work` panics, too.
    struct Debt;
    impl Drop for Debt {
        fn drop(&mut self) {
            if WAKE.replace(Wake::Now) == Wake::Owed {
                // SAFETY: somebody has just used it.
                unsafe { signal(send_evt) };
            }
        }
    }
    WAKE.set(Wake::Afterwards);
    let _debt = Debt;
    work()
}

/// As `Thread_signal_evt` does, but whoever wakes finds the event's lock free.
///
/// # Safety
/// The event is one of the library's.
unsafe fn signal(event: *mut Event) -> c_int {
    // SAFETY: as the caller promises. The number belongs to whoever has the lock.
    unsafe {
        libc::pthread_mutex_lock(&raw mut (*event).mutex);
        (*event).signalled = 1;
        libc::pthread_mutex_unlock(&raw mut (*event).mutex);
        libc::pthread_cond_broadcast(&raw mut (*event).condition)
    }
}

/// # Safety
/// Only paho.mqtt.c calls this, with an event that it has made.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_Thread_signal_evt(event: *mut Event) -> c_int {
    // SAFETY: these live as long as somebody can signal. A count that changes meanwhile is one for which another signal comes: who
    // adds a command signals after that, and one that waits for room was there before the acknowledgement that makes it.
    unsafe {
        if event == send_evt && MQTTAsync_tostop.load(Relaxed) == 0 {
            if MQTTAsync_commands.as_ref().is_some_and(|commands| commands.count.load(Relaxed) == 0) {
                return 0;
            }
            if WAKE.get() != Wake::Now {
                WAKE.set(Wake::Owed);
                return 0;
            }
        }
        signal(event)
    }
}
