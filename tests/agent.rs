//! The built program against a real broker, seen from outside: what the public contract promises.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

mod agent {
    mod commands;
    mod discovery;
    mod display;
    mod faults;
    mod hostile;
    mod inputs;
    mod limits;
    mod line;
    mod metrics;
    mod mute;
    mod outages;
    mod reload;
    mod requests;
    mod returns;
    mod safety;
    mod secrets;
    mod stand;
    mod systemd;
    mod topics;
    mod trouble;
}
