//! Reads MQTT packets from a stream of bytes, and is strict about it.

/// A packet: the first byte and all that follows its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub head: u8,
    pub body: Vec<u8>,
}

/// Packet types (MQTT 5, 2.1.2).
pub mod kind {
    pub const CONNECT: u8 = 1;
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBREL: u8 = 6;
    pub const PUBCOMP: u8 = 7;
    pub const SUBSCRIBE: u8 = 8;
    pub const UNSUBSCRIBE: u8 = 10;
    pub const PINGREQ: u8 = 12;
    pub const DISCONNECT: u8 = 14;
}

/// What a PUBLISH holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub topic: String,
    pub id: Option<u16>,
    pub duplicate: bool,
    pub retained: bool,
    pub payload: Vec<u8>,
}

impl Packet {
    pub fn kind(&self) -> u8 {
        self.head >> 4
    }

    /// The packet identifier of an acknowledgement or a subscription.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.body[0], self.body[1]])
    }

    /// What it says if it is a PUBLISH.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn publish(&self, version: u8) -> Result<Publish, String> {
        let mut rest = self.body.as_slice();
        let topic = std::str::from_utf8(text(&mut rest)?).map_err(|error| error.to_string())?;
        if topic.is_empty() || topic.contains(['\0', '+', '#']) {
            return Err(format!("topic {topic:?}"));
        }
        let id = match self.head >> 1 & 3 {
            0 => None,
            1 | 2 => {
                let id = u16::from_be_bytes([take(&mut rest, 1)?[0], take(&mut rest, 1)?[0]]);
                Some(if id == 0 { return Err("packet identifier 0".to_owned()) } else { id })
            }
            _ => return Err("quality of service 3".to_owned()),
        };
        if version == 5 {
            let (length, used) = length(rest)?.ok_or("properties cut off")?;
            take(&mut rest, used)?;
            take(&mut rest, length)?;
        }
        let (duplicate, retained) = (self.head & 8 != 0, self.head & 1 != 0);
        Ok(Publish { topic: topic.to_owned(), id, duplicate, retained, payload: rest.to_vec() })
    }
}

/// Takes the next whole packet from the front of these bytes.
///
/// # Errors
/// When what is there cannot be the start of one.
pub fn next(bytes: &mut Vec<u8>) -> Result<Option<Packet>, String> {
    let Some(&head) = bytes.first() else { return Ok(None) };
    let flags = head & 15;
    let fixed = match head >> 4 {
        0 => return Err("packet type 0".to_owned()),
        kind::PUBLISH => flags,
        kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 2,
        _ => 0,
    };
    if flags != fixed {
        return Err(format!("flags {flags:#x} of packet type {}", head >> 4));
    }
    let Some((length, used)) = length(&bytes[1..])? else { return Ok(None) };
    let start = 1 + used;
    if bytes.len() < start + length {
        return Ok(None);
    }
    let body = bytes[start..start + length].to_vec();
    bytes.drain(..start + length);
    if matches!(head >> 4, kind::PUBACK..=kind::UNSUBSCRIBE) && body.len() < 2 {
        return Err(format!("packet type {} without identifier", head >> 4));
    }
    Ok(Some(Packet { head, body }))
}

/// A variable byte integer (MQTT 5, 1.5.5) and how many bytes it took; `None` when more are to come.
fn length(bytes: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if index == 4 {
            return Err("a length of more than four bytes".to_owned());
        }
        value |= usize::from(byte & 127) << (7 * index);
        if byte & 128 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    Ok(None)
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = take(rest, 2)?;
    take(rest, usize::from(u16::from_be_bytes([length[0], length[1]])))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], String> {
    let (taken, left) = rest.split_at_checked(count).ok_or("cut off")?;
    *rest = left;
    Ok(taken)
}
