//! A Modbus device: the keys `port` or `host`, and `address`.

use super::port;
use crate::config::model::{At, Link};
use crate::config::stanza::Stanza;
use halyard_drivers::options::{Content, Node, Placed, Problem, read_rest};
use serde::Deserialize;

/// The port of Modbus on TCP (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 4.1).
const MODBUS_PORT: u16 = 502;

impl Stanza<'_> {
    /// A Modbus device: its line, and its address there.
    pub(super) fn modbus(&self, fits: bool, problems: &mut Vec<Problem>) -> Option<Placed<At>> {
        #[derive(Deserialize)]
        struct Keys {
            address: Option<Placed<i64>>,
        }
        let Keys { address } = read_rest(&self.attachment, problems)?;
        let unit = match address {
            // MODBUS over Serial Line V1.02, section 2.2: 0 is for all, from 248 on there is none.
            Some(address) if !(1..=247).contains(&address.value) => {
                let message = format!("`address` must be from 1 to 247 on Modbus, not `{}`", address.value);
                problems.push(Problem::new(address.place, message));
                return None;
            }
            // In range.
            Some(address) => u8::try_from(address.value).unwrap_or(1),
            None => 1,
        };
        let (node, link) = match (self.named("port"), self.named("host")) {
            (Some(_), Some(host)) => {
                problems.push(Problem::new(host.place, "there is a `port` already: it is one or the other"));
                return None;
            }
            (None, Some(host)) => (host, Link::Tcp(host_of(host, problems)?)),
            (Some(port), None) => {
                let At::Serial(path) = port::read(port, problems)?.value else { return None };
                (port, Link::Serial(path))
            }
            (None, None) => {
                if fits {
                    self.missing("port", problems);
                }
                return None;
            }
        };
        Some(Placed { place: node.place, origin: node.origin.clone(), value: At::Modbus { link, unit } })
    }
}

/// `192.0.2.7:502`, or a name; with the port of Modbus if there is none.
fn host_of(node: &Node, problems: &mut Vec<Problem>) -> Option<String> {
    if matches!(node.content, Content::Unknown) {
        return None;
    }
    let text = node.text().unwrap_or_default();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().ok().filter(|port| *port > 0)),
        _ => (text, Some(MODBUS_PORT)),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            (1..=253).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    match port {
        Some(port) if is_host => Some(format!("{host}:{port}")),
        _ => {
            let expected = "an address or a name, and a port if it is not 502, such as `192.0.2.7:502`";
            problems.push(Problem::new(node.place, format!("`host` must be {expected}, not {}", node.shown())));
            None
        }
    }
}
