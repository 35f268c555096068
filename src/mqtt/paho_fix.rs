//! Four defects of the bundled paho.mqtt.c (1.3.16), cured at its boundary.
//!
//! For the first three, `build.rs` makes the linker send the library's calls of two functions here; both call the original.
//!
//! **A failed write frees memory twice.** When the socket write of a QoS 1 or 2 PUBLISH fails,
//! `MQTTAsync_processCommand` frees topic and payload, though `MQTTProtocol_startPublish` has given both to the list of
//! messages in flight. So when a first transmission fails, we shut the connection down and report success: the message
//! is in flight on a lost connection then, which the library handles. Its receive thread sees the end of the stream and
//! reports the loss; the message is sent again if the session lives on, and else its token fails, once.
//!
//! **A string of the broker's aborts the process.** Topics reach the Rust layer unchecked, which unwraps them as UTF-8
//! without NUL in a callback, and frees a response topic with a NUL twice. So such strings are emptied before.
//!
//! **The next command waits 40 ms.** The broker acknowledges what we publish, and the kernel takes its time (`TCP_ATO_MIN`)
//! to acknowledge that, in the hope of sending it along with data that never come. A broker that leaves Nagle's algorithm
//! on, as Mosquitto does by default, holds back the next small packet until then. So after each publish that will be
//! acknowledged we end that hope.
//!
//! **OpenSSL for those who do not want it.** With its first client the library starts OpenSSL, for `mqtt://` too: 1.8 MB of
//! memory. Since version 1.1.0 OpenSSL starts itself when it is first used, so we tell the library not to. Its own setting
//! for that, because starting it later, but once, is not enough: with its last client the library frees what it made when it
//! started OpenSSL, and each next time would free it again.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static PUBLISHES: AtomicU64 = AtomicU64::new(0);
static FAILED_WRITES: AtomicU64 = AtomicU64::new(0);
static EMPTIED: AtomicU64 = AtomicU64::new(0);

/// Transmissions of PUBLISH packets that went through here, in this process.
pub fn publishes() -> u64 {
    PUBLISHES.load(Relaxed)
}

/// Failed first transmissions that became lost connections, in this process.
pub fn failed_writes() -> u64 {
    FAILED_WRITES.load(Relaxed)
}

/// Invalid strings of brokers that were emptied, in this process.
pub fn emptied() -> u64 {
    EMPTIED.load(Relaxed)
}

/// Whether the linker sends the library's calls here. Without it one failed write can end the process.
pub fn in_force() -> bool {
    // The linker redirects our own references to the plain names too.
    type Address = *const ();
    MQTTPacket_send_publish as Address == __wrap_MQTTPacket_send_publish as Address
        && MQTTProtocol_handlePublishes as Address == __wrap_MQTTProtocol_handlePublishes as Address
}

/// Leaves it to OpenSSL when to start. To be called before a client is made; a second call changes nothing.
#[cfg(feature = "tls")]
pub fn leave_openssl() {
    unsafe extern "C" {
        /// What `MQTTAsync_global_init` does with its option `do_openssl_init`. That one makes the library's locks anew
        /// besides, which other clients of this process may hold.
        fn SSLSocket_handleOpensslInit(by_library: c_int);
    }
    // SAFETY: it sets a number, which is read when the first client is made and when the last one is gone.
    unsafe { SSLSocket_handleOpensslInit(0) };
}

const SOCKET_ERROR: c_int = -1; // Socket.h
const TCPSOCKET_COMPLETE: c_int = 0; // Socket.h
const MQTTVERSION_5: c_int = 5; // MQTTAsync.h
const RESPONSE_TOPIC: c_int = 8; // MQTTProperties.h

/// `MQTTLenString` of MQTTProperties.h.
#[repr(C)]
struct LenString {
    len: c_int,
    data: *mut c_char,
}

/// `MQTTProperty` of MQTTProperties.h; the largest member of its union, which has the strictest alignment too.
#[repr(C)]
struct Property {
    identifier: c_int,
    value: [LenString; 2],
}

/// `Publish` of MQTTPacket.h with the `MQTTProperties` in it.
#[repr(C)]
struct Publish {
    header: c_uint,
    topic: *mut c_char,
    topiclen: c_int,
    msg_id: c_int,
    payload: *mut c_char,
    payloadlen: c_int,
    version: c_int,
    properties_count: c_int,
    properties_max_count: c_int,
    properties_length: c_int,
    properties: *mut Property,
}

unsafe extern "C" {
    fn MQTTPacket_send_publish(
        pack: *mut c_void,
        dup: c_int,
        qos: c_int,
        retained: c_int,
        net: *const c_int,
        client: *const c_char,
    ) -> c_int;
    fn __real_MQTTPacket_send_publish(
        pack: *mut c_void,
        dup: c_int,
        qos: c_int,
        retained: c_int,
        net: *const c_int,
        client: *const c_char,
    ) -> c_int;
    fn MQTTProtocol_handlePublishes(pack: *mut Publish, socket: c_int) -> c_int;
    fn __real_MQTTProtocol_handlePublishes(pack: *mut Publish, socket: c_int) -> c_int;
}

/// # Safety
/// Only paho.mqtt.c calls this, with its `mqttasync_mutex` held, so that the socket of `net` is open and ours. `net`
/// points to a `networkHandles`, whose first member is `int socket` (Clients.h).
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_MQTTPacket_send_publish(
    pack: *mut c_void,
    dup: c_int,
    qos: c_int,
    retained: c_int,
    net: *const c_int,
    client: *const c_char,
) -> c_int {
    // SAFETY: the caller's own arguments.
    let result = unsafe { __real_MQTTPacket_send_publish(pack, dup, qos, retained, net, client) };
    PUBLISHES.fetch_add(1, Relaxed);
    // The caller of a repeat (dup 1) handles its failure.
    if result == SOCKET_ERROR && dup == 0 && qos > 0 {
        FAILED_WRITES.fetch_add(1, Relaxed);
        // SAFETY: `net` as above; shutdown touches no memory.
        unsafe { libc::shutdown(*net, libc::SHUT_RDWR) };
        return TCPSOCKET_COMPLETE;
    }
    if qos > 0 {
        // SAFETY: `net` as above.
        acknowledge_quickly(unsafe { *net });
    }
    result
}

/// The kernel acknowledges what is read next at once. Only a hint, which each write takes back; a failure costs time.
fn acknowledge_quickly(socket: c_int) {
    let on: c_int = 1;
    #[allow(clippy::cast_possible_truncation)] // 4
    let length = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the option is an int, which lives until the call returns.
    unsafe { libc::setsockopt(socket, libc::IPPROTO_TCP, libc::TCP_QUICKACK, (&raw const on).cast(), length) };
}

/// # Safety
/// Only paho.mqtt.c calls this, with a `Publish` that `MQTTPacket_publish` has just made.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_MQTTProtocol_handlePublishes(pack: *mut Publish, socket: c_int) -> c_int {
    // SAFETY: `pack` as above; nobody else has it yet. Its topic has `topiclen` bytes and a NUL after them.
    let publish = unsafe { &mut *pack };
    if !unsafe { is_text(publish.topic, publish.topiclen) } {
        // SAFETY: the buffer holds one byte at least.
        unsafe { *publish.topic = 0 };
        publish.topiclen = 0;
        EMPTIED.fetch_add(1, Relaxed);
    }
    if publish.version >= MQTTVERSION_5 {
        for index in 0..usize::try_from(publish.properties_count).unwrap_or(0) {
            // SAFETY: the array has `properties_count` elements.
            let property = unsafe { &mut *publish.properties.add(index) };
            let text = &mut property.value[0];
            // SAFETY: this property's value is a string of `len` bytes.
            if property.identifier == RESPONSE_TOPIC && !unsafe { is_text(text.data, text.len) } {
                text.len = 0;
                EMPTIED.fetch_add(1, Relaxed);
            }
        }
    }
    // SAFETY: the caller's own arguments.
    unsafe { __real_MQTTProtocol_handlePublishes(pack, socket) }
}

/// Whether these bytes are UTF-8 without NUL (MQTT 5, 1.5.4).
///
/// # Safety
/// `data` points to `len` bytes.
unsafe fn is_text(data: *const c_char, len: c_int) -> bool {
    let Ok(len) = usize::try_from(len) else { return false };
    // SAFETY: as the caller promises.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) };
    !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}
