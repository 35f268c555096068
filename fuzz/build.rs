//! As the build script of the program: the linker has to send the MQTT library's calls to the guards around it.

fn main() {
    for name in ["MQTTPacket_send_publish", "MQTTProtocol_handlePublishes", "Socket_new", "Thread_signal_evt"] {
        println!("cargo:rustc-link-arg=-Wl,--wrap={name}");
    }
}
