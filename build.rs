//! Tells the linker which calls of the bundled MQTT library go through `src/mqtt/paho_fix.rs`.

fn main() {
    // Covers the binaries, tests, benches and examples of this package. GNU ld, gold, lld and mold know the option.
    println!("cargo:rustc-link-arg=-Wl,--wrap=MQTTPacket_send_publish");
    println!("cargo:rustc-link-arg=-Wl,--wrap=MQTTProtocol_handlePublishes");
    println!("cargo:rerun-if-changed=build.rs");
}
