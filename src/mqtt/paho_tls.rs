//! Why a TLS handshake failed: what OpenSSL knows of it, for [`paho_why`](super::paho_why).

use super::paho_why;
use std::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};

const DONE: c_int = 1; // SSLSocket_connect of SSLSocket.c
const TCPSOCKET_INTERRUPTED: c_int = -22; // Socket.h
const X509_V_OK: c_long = 0; // openssl/x509_vfy.h

/// `ssl_error_cb` of MQTTAsync.h.
type Print = unsafe extern "C" fn(*const c_char, usize, *mut c_void) -> c_int;

unsafe extern "C" {
    fn __real_SSLSocket_connect(
        ssl: *mut c_void,
        socket: c_int,
        address: *const c_char,
        verify: c_int,
        print: Option<Print>,
        context: *mut c_void,
    ) -> c_int;
    // OpenSSL, which the library is linked with.
    fn SSL_get_verify_result(ssl: *const c_void) -> c_long;
    fn SSL_is_init_finished(ssl: *const c_void) -> c_int;
    fn X509_verify_cert_error_string(code: c_long) -> *const c_char;
    fn ERR_peek_last_error() -> c_ulong;
    fn ERR_reason_error_string(code: c_ulong) -> *const c_char;
}

/// # Safety
/// Only paho.mqtt.c calls this, with an `SSL` of its own and a string that ends with NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_SSLSocket_connect(
    ssl: *mut c_void,
    socket: c_int,
    address: *const c_char,
    verify: c_int,
    print: Option<Print>,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the caller's own arguments.
    let result = unsafe { __real_SSLSocket_connect(ssl, socket, address, verify, print, context) };
    if result != DONE && result != TCPSOCKET_INTERRUPTED {
        // SAFETY: as above, and the handshake has just failed on this thread.
        let (address, why) = unsafe { (CStr::from_ptr(address).to_string_lossy().into_owned(), reason(ssl)) };
        paho_why::note(address, why);
    }
    result
}

/// # Safety
/// `ssl` is an `SSL` whose handshake has just failed on this thread.
unsafe fn reason(ssl: *const c_void) -> String {
    // SAFETY: reads of `ssl` and of this thread's list of errors. The strings are constants of OpenSSL.
    unsafe {
        let verified = SSL_get_verify_result(ssl);
        if verified != X509_V_OK {
            let why = CStr::from_ptr(X509_verify_cert_error_string(verified)).to_string_lossy();
            return format!("the broker's certificate is not to be trusted: {why}");
        }
        if SSL_is_init_finished(ssl) == 1 {
            // What is left is the library's own comparison.
            return "the broker's certificate is for another host name".to_owned();
        }
        let why = ERR_reason_error_string(ERR_peek_last_error());
        if why.is_null() {
            return "the broker ended the TLS handshake; does it speak TLS on this port?".to_owned();
        }
        format!("no TLS: {}", CStr::from_ptr(why).to_string_lossy())
    }
}
