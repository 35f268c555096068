//! Why there is no connection, which the bundled paho.mqtt.c (1.3.16) keeps to itself.
//!
//! Whoever asks it to connect hears "TCP/TLS connect failure" or less, whether the host's name is not known, nobody listens
//! there, or a certificate is not to be trusted. `build.rs` makes the linker send the library's calls of one function here, as
//! it does for [`paho_fix`](super::paho_fix), and of another to `paho_tls`; what came of a failed one is kept until
//! it is asked for.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_long};
use std::sync::{Mutex, PoisonError};

/// By the broker's address as the library knows it, `host:port`.
static FAILURES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Notes why there is no connection to this address.
pub(super) fn note(address: String, why: String) {
    FAILURES.lock().unwrap_or_else(PoisonError::into_inner).insert(address, why);
}

/// What was noted last about the broker at this URL. Asking forgets it.
pub(super) fn take(url: &str) -> Option<String> {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    FAILURES.lock().unwrap_or_else(PoisonError::into_inner).remove(address)
}

const SOCKET_ERROR: c_int = -1; // Socket.h

unsafe extern "C" {
    fn __real_Socket_new(
        address: *const c_char,
        length: usize,
        port: c_int,
        socket: *mut c_int,
        timeout: c_long,
    ) -> c_int;
}

/// # Safety
/// Only paho.mqtt.c calls this, with `length` bytes of a host's name or address.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_Socket_new(
    address: *const c_char,
    length: usize,
    port: c_int,
    socket: *mut c_int,
    timeout: c_long,
) -> c_int {
    // SAFETY: the caller's own arguments.
    let result = unsafe { __real_Socket_new(address, length, port, socket, timeout) };
    let why = match result {
        0 | libc::EINPROGRESS => return result,
        SOCKET_ERROR => "the host's name is not known".to_owned(),
        number => crate::config::os_error(&std::io::Error::from_raw_os_error(number)),
    };
    // SAFETY: as above.
    let host = unsafe { std::slice::from_raw_parts(address.cast::<u8>(), length) };
    note(format!("{}:{port}", String::from_utf8_lossy(host)), why);
    result
}
