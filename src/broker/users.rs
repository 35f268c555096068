//! Who may use the embedded broker.

use crate::config::BrokerUser;
use mqtt5::Result;
use mqtt5::broker::auth::{AuthProvider, AuthResult};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::protocol::v5::reason_codes::ReasonCode;
use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::Mutex;
use tracing::warn;

/// A login that failed is answered after this time, one after the other: so many guesses there are, and no more.
const PENALTY: Duration = Duration::from_secs(1);

/// Lets in whoever has a name and its password, for everything.
pub(super) struct Users {
    users: Vec<BrokerUser>,
    failing: Mutex<()>,
}

impl Users {
    pub(super) fn new(users: Vec<BrokerUser>) -> Self {
        Self { users, failing: Mutex::default() }
    }

    fn knows(&self, name: Option<&str>, password: Option<&[u8]>) -> bool {
        let (Some(name), Some(password)) = (name, password) else { return false };
        // All are looked at, whoever it is.
        self.users.iter().fold(false, |known, user| {
            let is_one = same(name.as_bytes(), user.name.as_bytes()) & same(password, user.password.0.as_bytes());
            known | is_one
        })
    }
}

/// Whether they are equal, in a time that depends on the length of what was given only.
fn same(given: &[u8], secret: &[u8]) -> bool {
    let mut differences = given.len() ^ secret.len();
    for (index, byte) in given.iter().enumerate() {
        let other = secret.get(index % secret.len().max(1)).copied().unwrap_or_default();
        differences |= usize::from(byte ^ other);
    }
    std::hint::black_box(differences) == 0
}

impl AuthProvider for Users {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        from: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = Result<AuthResult>> + Send + 'a>> {
        Box::pin(async move {
            if self.knows(connect.username.as_deref(), connect.password.as_deref()) {
                return Ok(AuthResult::success());
            }
            let _turn = self.failing.lock().await;
            warn!("the embedded broker refuses a login from {from}");
            tokio::time::sleep(PENALTY).await;
            Ok(AuthResult::fail(ReasonCode::BadUsernameOrPassword))
        })
    }

    fn authorize_publish<'a>(
        &'a self,
        _: &str,
        _: Option<&'a str>,
        _: &'a str,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(ready(true))
    }

    fn authorize_subscribe<'a>(
        &'a self,
        _: &str,
        _: Option<&'a str>,
        _: &'a str,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(ready(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::Secret;

    #[test]
    fn only_the_whole_of_both_will_do() {
        let user = |name: &str, password: &str| BrokerUser { name: name.into(), password: Secret(password.into()) };
        let users = Users::new(vec![user("pump", "abcabc"), user("phone", "x")]);
        let knows = |name: &str, password: &str| users.knows(Some(name), Some(password.as_bytes()));
        assert!(knows("pump", "abcabc") && knows("phone", "x"));
        for (name, password) in [
            ("pump", "x"),
            ("phone", "abcabc"),
            ("pump", "abc"),
            ("pump", "abcabcabc"),
            ("pump", ""),
            ("", ""),
            ("pum", "abcabc"),
            ("pumppump", "abcabc"),
            ("pump", "abcabd"),
        ] {
            assert!(!knows(name, password), "{name} {password}");
        }
        assert!(!users.knows(None, None) && !users.knows(Some("pump"), None) && !users.knows(None, Some(b"abcabc")));
    }
}
