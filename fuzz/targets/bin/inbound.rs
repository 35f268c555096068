#![no_main]

#[path = "../agent.rs"]
mod agent;

libfuzzer_sys::fuzz_target!(|data: &[u8]| agent::inbound(data));
