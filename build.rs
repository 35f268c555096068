//! Tells the linker which calls of the bundled MQTT library go through `src/mqtt/paho_fix.rs`, `paho_why.rs` and `paho_tls.rs`.

fn main() {
    // Covers the binaries, tests, benches and examples of this package. GNU ld, gold, lld and mold know the option.
    println!("cargo:rustc-link-arg=-Wl,--wrap=MQTTPacket_send_publish");
    println!("cargo:rustc-link-arg=-Wl,--wrap=MQTTProtocol_handlePublishes");
    println!("cargo:rustc-link-arg=-Wl,--wrap=Socket_new");
    if std::env::var_os("CARGO_FEATURE_TLS").is_some() {
        println!("cargo:rustc-link-arg=-Wl,--wrap=SSLSocket_connect");
        println!("cargo:rustc-link-arg=-Wl,--wrap=SSLSocket_setSocketForSSL");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
