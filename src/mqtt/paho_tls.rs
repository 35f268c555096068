//! Why a TLS handshake failed: which certificate it was, what is wrong with it, and what mends that, for
//! [`paho_why`](super::paho_why).
//!
//! OpenSSL forgets a certificate that it refuses, so it is looked at while OpenSSL judges it. All that a certificate says of
//! itself is the other side's text, and shown within bounds.

use super::{paho_why, reasons};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use std::sync::{Mutex, PoisonError};

const DONE: c_int = 1; // SSLSocket_connect of SSLSocket.c
const TCPSOCKET_INTERRUPTED: c_int = -22; // Socket.h
// openssl/x509_vfy.h
const X509_V_OK: c_int = 0;
const X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT: c_int = 2;
const X509_V_ERR_CERT_NOT_YET_VALID: c_int = 9;
const X509_V_ERR_CERT_HAS_EXPIRED: c_int = 10;
const X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: c_int = 18;
const X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: c_int = 19;
const X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY: c_int = 20;
const X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: c_int = 21;
const NID_SUBJECT_ALT_NAME: c_int = 85; // openssl/obj_mac.h
const XN_FLAG_RFC2253: c_ulong = 0x111_0317; // openssl/x509.h

/// What is remembered of handshakes under way: one that never ends leaves its entry behind.
const MOST_SEEN: usize = 16;

/// By the address of its `SSL`: what was seen of the broker's certificates in a handshake.
static SEEN: Mutex<BTreeMap<usize, Seen>> = Mutex::new(BTreeMap::new());

#[derive(Default)]
struct Seen {
    /// Whose the broker's own certificate is.
    names: String,
    /// What is wrong with it, or with one that vouches for it.
    wrong: Option<String>,
}

/// `ssl_error_cb` of MQTTAsync.h.
type Print = unsafe extern "C" fn(*const c_char, usize, *mut c_void) -> c_int;
/// `SSL_verify_cb` of openssl/ssl.h.
type Verify = unsafe extern "C" fn(c_int, *mut c_void) -> c_int;
/// What writes a text to a `BIO`.
type Write<'a> = &'a dyn Fn(*mut c_void) -> c_int;

unsafe extern "C" {
    fn __real_SSLSocket_connect(
        ssl: *mut c_void,
        socket: c_int,
        address: *const c_char,
        verify: c_int,
        print: Option<Print>,
        context: *mut c_void,
    ) -> c_int;
    fn __real_SSLSocket_setSocketForSSL(
        net: *mut c_void,
        options: *mut c_void,
        address: *const c_char,
        length: usize,
    ) -> c_int;
    // OpenSSL, which the library is linked with.
    fn SSL_get_verify_mode(ssl: *const c_void) -> c_int;
    fn SSL_set_verify(ssl: *mut c_void, mode: c_int, callback: Option<Verify>);
    fn SSL_get_ex_data_X509_STORE_CTX_idx() -> c_int;
    fn SSL_is_init_finished(ssl: *const c_void) -> c_int;
    fn X509_STORE_CTX_get_ex_data(context: *const c_void, index: c_int) -> *mut c_void;
    fn X509_STORE_CTX_get_error(context: *const c_void) -> c_int;
    fn X509_STORE_CTX_get_error_depth(context: *const c_void) -> c_int;
    fn X509_STORE_CTX_get_current_cert(context: *const c_void) -> *mut c_void;
    fn X509_verify_cert_error_string(code: c_long) -> *const c_char;
    fn X509_get_subject_name(certificate: *const c_void) -> *mut c_void;
    fn X509_get_issuer_name(certificate: *const c_void) -> *mut c_void;
    fn X509_get0_notBefore(certificate: *const c_void) -> *const c_void;
    fn X509_get0_notAfter(certificate: *const c_void) -> *const c_void;
    fn X509_get_ext_by_NID(certificate: *const c_void, nid: c_int, after: c_int) -> c_int;
    fn X509_get_ext(certificate: *const c_void, index: c_int) -> *mut c_void;
    fn X509_NAME_print_ex(bio: *mut c_void, name: *const c_void, indent: c_int, flags: c_ulong) -> c_int;
    fn X509V3_EXT_print(bio: *mut c_void, extension: *mut c_void, flags: c_ulong, indent: c_int) -> c_int;
    fn ASN1_TIME_print(bio: *mut c_void, time: *const c_void) -> c_int;
    fn BIO_s_mem() -> *const c_void;
    fn BIO_new(kind: *const c_void) -> *mut c_void;
    fn BIO_read(bio: *mut c_void, data: *mut c_void, length: c_int) -> c_int;
    fn BIO_free(bio: *mut c_void) -> c_int;
    fn ERR_peek_last_error() -> c_ulong;
    fn ERR_clear_error();
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
    // SAFETY: the mode is as it was; the callback changes nothing. Then the caller's own arguments.
    let result = unsafe {
        SSL_set_verify(ssl, SSL_get_verify_mode(ssl), Some(look));
        __real_SSLSocket_connect(ssl, socket, address, verify, print, context)
    };
    if result == TCPSOCKET_INTERRUPTED {
        return result;
    }
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&(ssl as usize)).unwrap_or_default();
    if result != DONE {
        // SAFETY: as above, and the handshake has just failed on this thread.
        let (address, why) = unsafe {
            let address = CStr::from_ptr(address).to_string_lossy().into_owned();
            let why = reason(ssl, seen, &address);
            (address, why)
        };
        paho_why::note(address, why);
    }
    result
}

/// # Safety
/// Only paho.mqtt.c calls this, with options of its own and a string that ends with NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_SSLSocket_setSocketForSSL(
    net: *mut c_void,
    options: *mut c_void,
    address: *const c_char,
    length: usize,
) -> c_int {
    // SAFETY: the list of errors is this thread's own. Then the caller's own arguments.
    let (result, address) = unsafe {
        ERR_clear_error();
        let result = __real_SSLSocket_setSocketForSSL(net, options, address, length);
        (result, CStr::from_ptr(address).to_string_lossy().into_owned())
    };
    if result != DONE {
        let why = last_error().unwrap_or_else(|| "no PEM, or a key that is not the certificate's".to_owned());
        paho_why::note(address, format!("the files of `ca`, `cert` and `key` are not usable: {why}"));
    }
    result
}

/// # Safety
/// Only OpenSSL calls this, with the `X509_STORE_CTX` of a handshake.
unsafe extern "C" fn look(is_fine: c_int, context: *mut c_void) -> c_int {
    // SAFETY: reads of `context` and of the certificate that it judges, which lives until this returns.
    unsafe {
        let ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
        let certificate = X509_STORE_CTX_get_current_cert(context);
        let mut all = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_SEEN {
            all.clear();
        }
        let seen = all.entry(ssl as usize).or_default();
        if certificate.is_null() {
            return is_fine;
        }
        if X509_STORE_CTX_get_error_depth(context) == 0 {
            seen.names = names(certificate);
        }
        if is_fine == 0 {
            let code = X509_STORE_CTX_get_error(context);
            if code != X509_V_OK && seen.wrong.is_none() {
                seen.wrong = Some(verdict(code, certificate));
            }
        }
    }
    is_fine
}

/// What is wrong with a certificate.
///
/// # Safety
/// `certificate` is an `X509`.
unsafe fn verdict(code: c_int, certificate: *const c_void) -> String {
    // SAFETY: reads of the certificate; what they give lives as long as that, or is a constant of OpenSSL.
    unsafe {
        let name = |name: *mut c_void| text(&|bio| X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253));
        let time = |time: *const c_void| text(&|bio| ASN1_TIME_print(bio, time));
        let (subject, issuer) = (name(X509_get_subject_name(certificate)), name(X509_get_issuer_name(certificate)));
        match code {
            X509_V_ERR_CERT_HAS_EXPIRED => {
                format!("{subject} expired on {}", time(X509_get0_notAfter(certificate)))
            }
            X509_V_ERR_CERT_NOT_YET_VALID => {
                let begin = time(X509_get0_notBefore(certificate));
                format!("{subject} is not valid before {begin}: is the clock of this machine right?")
            }
            X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT => {
                format!("{subject} is signed by itself (to trust it, name its file as `ca`)")
            }
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN => {
                format!("the authority {subject} is not one of those that are trusted (`ca`)")
            }
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
            | X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
            | X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE => {
                format!("{subject} is signed by {issuer}, which is not one of those that are trusted (`ca`)")
            }
            other => {
                let why = CStr::from_ptr(X509_verify_cert_error_string(c_long::from(other))).to_string_lossy();
                format!("{subject}, signed by {issuer}: {why}")
            }
        }
    }
}

/// Whose a certificate is: its subject and its other names.
///
/// # Safety
/// `certificate` is an `X509`.
unsafe fn names(certificate: *const c_void) -> String {
    // SAFETY: reads of the certificate; what they give lives as long as that.
    unsafe {
        let subject = X509_get_subject_name(certificate);
        let subject = text(&|bio| X509_NAME_print_ex(bio, subject, 0, XN_FLAG_RFC2253));
        let place = X509_get_ext_by_NID(certificate, NID_SUBJECT_ALT_NAME, -1);
        if place < 0 {
            return subject;
        }
        let extension = X509_get_ext(certificate, place);
        format!("{subject} ({})", text(&|bio| X509V3_EXT_print(bio, extension, 0, 0)))
    }
}

/// What is written, for one line of a log.
fn text(write: Write<'_>) -> String {
    let mut buffer = [0_u8; 1024];
    // SAFETY: a BIO of our own, which is freed once; `buffer` has the length that is told.
    let length = unsafe {
        let bio = BIO_new(BIO_s_mem());
        if bio.is_null() {
            return String::new();
        }
        write(bio);
        let length = BIO_read(bio, buffer.as_mut_ptr().cast(), 1024);
        BIO_free(bio);
        usize::try_from(length).unwrap_or(0).min(buffer.len())
    };
    reasons::shown(&String::from_utf8_lossy(&buffer[..length]))
}

/// # Safety
/// `ssl` is an `SSL` whose handshake has just failed on this thread.
unsafe fn reason(ssl: *const c_void, seen: Seen, address: &str) -> String {
    if let Some(wrong) = seen.wrong {
        return format!("the broker's certificate is not to be trusted: {wrong}");
    }
    // SAFETY: a read of `ssl`.
    if unsafe { SSL_is_init_finished(ssl) } == 1 {
        // What is left is the library's own comparison.
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        return format!("the broker's certificate is for another host: {}, not {host}", seen.names);
    }
    match last_error() {
        None => "the broker ended the TLS handshake; does it speak TLS on this port?".to_owned(),
        Some(why) => format!("no TLS: {why}"),
    }
}

/// The last error of OpenSSL on this thread.
fn last_error() -> Option<String> {
    // SAFETY: this thread's list of errors; the string is a constant of OpenSSL.
    unsafe {
        let why = ERR_reason_error_string(ERR_peek_last_error());
        (!why.is_null()).then(|| CStr::from_ptr(why).to_string_lossy().into_owned())
    }
}
