//! Tells the linker which calls of the bundled MQTT library go through `src/mqtt/paho_fix.rs`, `paho_tls.rs`, `paho_wake.rs` and
//! `paho_why.rs`, and to write the addresses that the system has to fill in as short as it can read them.

fn main() {
    // Covers the binaries, tests, benches and examples of this package. GNU ld, gold, lld and mold know the option.
    println!("cargo:rustc-link-arg=-Wl,--wrap=MQTTPacket_send_publish");
    println!("cargo:rustc-link-arg=-Wl,--wrap=MQTTProtocol_handlePublishes");
    println!("cargo:rustc-link-arg=-Wl,--wrap=Socket_new");
    println!("cargo:rustc-link-arg=-Wl,--wrap=Thread_signal_evt");
    if std::env::var_os("CARGO_FEATURE_TLS").is_some() {
        println!("cargo:rustc-link-arg=-Wl,--wrap=SSLSocket_connect");
        println!("cargo:rustc-link-arg=-Wl,--wrap=SSLSocket_setSocketForSSL");
    }
    if reads_packed_relocations() {
        println!("cargo:rustc-link-arg=-Wl,-z,pack-relative-relocs");
    }
    println!("cargo:rerun-if-changed=build.rs");
}

/// Whether the program is for systems like this one, and those read packed relocations, which are 0.2 MB less: the C library
/// does since 2.36. The program says that it needs them, so an older system refuses it and does not run it wrong.
#[cfg(target_env = "gnu")]
fn reads_packed_relocations() -> bool {
    unsafe extern "C" {
        fn gnu_get_libc_version() -> *const std::ffi::c_char;
    }
    // SAFETY: the function gives a text that is never changed.
    let version = unsafe { std::ffi::CStr::from_ptr(gnu_get_libc_version()) };
    let minor = version.to_str().ok().and_then(|version| version.strip_prefix("2.")?.parse::<u32>().ok());
    std::env::var_os("HOST") == std::env::var_os("TARGET") && minor >= Some(36)
}

#[cfg(not(target_env = "gnu"))]
fn reads_packed_relocations() -> bool {
    false
}
