//! What people are told of a connection that ended or was not made.

use super::client::CONNECT_TIMEOUT;
use super::paho_why;
use paho_mqtt::{Error, Properties, PropertyCode, ReasonCode};

/// Longest text of a broker that is repeated, in characters.
const LONGEST: usize = 200;

/// A reason code of MQTT 5 (2.4) in words, with what the broker adds to it.
pub(super) fn reason(reason: ReasonCode, properties: &Properties) -> String {
    let code = match reason {
        ReasonCode::SessionTakenOver => "another client with the same identifier took over".to_owned(),
        // What the library calls it when it is a CONNACK or a PUBACK.
        ReasonCode::Success => "the broker ended the connection".to_owned(),
        other => other.to_string(),
    };
    let text = |code| properties.get_string(code).map(|text| shown(&text)).filter(|text| !text.is_empty());
    let said = text(PropertyCode::ReasonString).map_or_else(String::new, |text| format!(" ({text})"));
    let other =
        text(PropertyCode::ServerReference).map_or_else(String::new, |text| format!("; it names {text} instead"));
    format!("{code}{said}{other}")
}

/// Why there is no connection to the broker at this URL.
pub(super) fn refusal(url: &str, error: &Error) -> String {
    let noted = paho_why::take(url);
    match error {
        Error::ReasonCode(code, properties) => reason(*code, properties),
        // What a broker of MQTT 3.1.1 says, which the library does not show.
        Error::ConnectReturn(code) => code.to_string(),
        error => noted.unwrap_or_else(|| match error {
            Error::TcpConnectTimeout => format!("no answer within {CONNECT_TIMEOUT:?}: is there an MQTT broker?"),
            Error::SocketError(_) => "the connection broke while it was made".to_owned(),
            // So it is when a broker refuses our certificate, or the lack of one, before we have said anything.
            Error::TcpTlsConnectFailure if url.starts_with("mqtts://") => {
                "nobody accepts a connection there, or it hung up at once: does it want a certificate of ours?"
                    .to_owned()
            }
            Error::TcpTlsConnectFailure => "nobody accepts a connection there".to_owned(),
            Error::TcpConnectCompletionFailure => {
                // With TLS 1.3 this is also how a broker refuses the certificate that it got, or the lack of one.
                let what = if url.starts_with("mqtts://") {
                    "does it want a certificate of ours"
                } else {
                    "is it an MQTT broker"
                };
                format!("it hung up before it answered: {what}?")
            }
            error => error.to_string(),
        }),
    }
}

/// A text of the other side's for one line of a log.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brokers_own_words_are_bounded_and_on_one_line() {
        let mut properties = Properties::new();
        properties.push_string(PropertyCode::ReasonString, &format!("no\n\x1b[2J{}", "x".repeat(1000))).unwrap();
        let text = reason(ReasonCode::ServerShuttingDown, &properties);
        assert!(text.starts_with("Server shutting down (no  [2Jxxx") && text.len() < 250, "{text}");
        assert!(!text.contains(char::is_control));
        properties = Properties::new();
        properties.push_string(PropertyCode::ServerReference, "other.example").unwrap();
        let text = reason(ReasonCode::UseAnotherServer, &properties);
        assert_eq!(text, "Use another server; it names other.example instead");
    }
}
