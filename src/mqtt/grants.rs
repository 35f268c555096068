//! What a broker grants on a connection: MQTT 5 lets it say so in its CONNACK.

use super::message::Outgoing;
use paho_mqtt::{Properties, PropertyCode};
use std::time::Duration;

/// What may be sent on a connection (MQTT 5, 3.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grants {
    /// Longest packet in bytes.
    pub(super) packet: usize,
    /// Highest quality of service.
    pub(super) qos: u8,
    /// Whether messages can be retained.
    pub(super) retain: bool,
    /// Messages that may be on their way and not acknowledged yet.
    pub(super) in_flight: usize,
    /// How long the connection may be silent, if not as long as we wanted.
    pub(super) keep_alive: Option<Duration>,
}

impl Default for Grants {
    /// Of a broker that says nothing.
    fn default() -> Self {
        Self { packet: usize::MAX, qos: 2, retain: true, in_flight: usize::from(u16::MAX), keep_alive: None }
    }
}

impl Grants {
    /// What the properties of a CONNACK say. Topic aliases are not used, so their number does not matter.
    pub(super) fn of(properties: &Properties) -> Self {
        let usual = Self::default();
        // Four bytes come as a signed number.
        let number = |code| properties.get(code).and_then(|property| property.get_u32().map(|number| number as usize));
        let small = |code| properties.get(code).and_then(|property| property.get_byte());
        let count = |code| properties.get(code).and_then(|property| property.get_u16());
        let in_flight = count(PropertyCode::ReceiveMaximum).map(usize::from);
        Self {
            // 0 is a protocol error of theirs.
            packet: number(PropertyCode::MaximumPacketSize).filter(|size| *size > 0).unwrap_or(usual.packet),
            qos: small(PropertyCode::MaximumQos).unwrap_or(usual.qos),
            retain: small(PropertyCode::RetainAvailable) != Some(0),
            in_flight: in_flight.filter(|count| *count > 0).unwrap_or(usual.in_flight),
            // 0: it never probes us, and we may probe it as we like.
            keep_alive: count(PropertyCode::ServerKeepAlive)
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into())),
        }
    }

    /// A message as it may be sent.
    ///
    /// # Errors
    /// Its length, if it is too long to be sent.
    pub(super) fn fit(&self, message: &mut Outgoing) -> Result<(), usize> {
        message.qos = message.qos.min(self.qos);
        message.retained &= self.retain;
        let length = packet_length(message);
        if length > self.packet { Err(length) } else { Ok(()) }
    }
}

/// Length of the PUBLISH packet, as long as it can get (MQTT 5, 3.3).
fn packet_length(message: &Outgoing) -> usize {
    let expiry = if message.expiry.is_some() { 1 + 4 } else { 0 };
    let correlation = message.correlation.as_ref().map_or(0, |data| 1 + 2 + data.len());
    let properties = expiry + correlation;
    let rest = 2 + message.topic.len() + 2 + length_of_length(properties) + properties + message.payload.len();
    1 + length_of_length(rest) + rest
}

/// Bytes of a variable byte integer (MQTT 5, 1.5.5).
fn length_of_length(length: usize) -> usize {
    match length {
        0..128 => 1,
        128..16_384 => 2,
        16_384..2_097_152 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: usize) -> Outgoing {
        Outgoing {
            topic: "a/b".into(),
            payload: vec![b'x'; payload].into(),
            qos: 1,
            retained: true,
            expiry: Some(Duration::from_secs(1)),
            correlation: Some("id".into()),
        }
    }

    #[test]
    fn a_broker_that_says_nothing_takes_everything() {
        assert_eq!(Grants::of(&Properties::new()), Grants::default());
        let mut whole = message(100_000);
        assert_eq!(Grants::default().fit(&mut whole), Ok(()));
        assert_eq!((whole.qos, whole.retained), (1, true));
    }

    #[test]
    fn what_a_connack_says() {
        let mut properties = Properties::new();
        properties.push_u32(PropertyCode::MaximumPacketSize, 0x9000_0000).unwrap();
        properties.push_u16(PropertyCode::ReceiveMaximum, 0xfffe).unwrap();
        properties.push_byte(PropertyCode::MaximumQos, 0).unwrap();
        properties.push_byte(PropertyCode::RetainAvailable, 0).unwrap();
        properties.push_u16(PropertyCode::ServerKeepAlive, 7).unwrap();
        let keep_alive = Some(Duration::from_secs(7));
        let grants = Grants { packet: 0x9000_0000, qos: 0, retain: false, in_flight: 0xfffe, keep_alive };
        assert_eq!(Grants::of(&properties), grants);
        let mut whole = message(1);
        assert_eq!(grants.fit(&mut whole), Ok(()));
        assert_eq!((whole.qos, whole.retained), (0, false));
    }

    #[test]
    fn lengths_of_packets() {
        // Head and length, topic, identifier, length of the properties, expiry, correlation data, payload.
        assert_eq!(packet_length(&message(7)), 2 + 5 + 2 + 1 + 5 + 5 + 7);
        let length = 3 + 5 + 2 + 1 + 5 + 5 + 200;
        assert_eq!(packet_length(&message(200)), length);
        let grants = |packet| Grants { packet, ..Grants::default() };
        assert_eq!(grants(length).fit(&mut message(200)), Ok(()));
        assert_eq!(grants(length - 1).fit(&mut message(200)), Err(length));
    }
}
