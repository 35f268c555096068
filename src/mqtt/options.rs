//! The settings, as the library wants them.

use super::client::{CONNECT_TIMEOUT, Error};
use super::connection::MakeOptions;
use super::message::{Protocol, Settings};
use paho_mqtt::{
    AsyncClient, ConnectOptionsBuilder, CreateOptionsBuilder, MQTT_VERSION_3_1_1, MQTT_VERSION_5, Properties,
    PropertyCode,
};

/// Longest packet that the broker may send (MQTT 5), in bytes: our own discovery message with thousands of entities.
const LONGEST_PACKET: u32 = 4 << 20;

pub(super) fn check_urls(urls: &[String]) -> Result<(), Error> {
    if urls.is_empty() {
        return Err(Error::NoUrl);
    }
    let mut secure = 0;
    for url in urls {
        if url.contains('@') {
            return Err(Error::Credentials);
        }
        let host = url.strip_prefix("mqtt://").or_else(|| {
            secure += 1;
            url.strip_prefix("mqtts://")
        });
        if host.is_none_or(|host| host.is_empty() || host.starts_with(':') || host.contains('\0')) {
            return Err(Error::Url(url.clone()));
        }
    }
    if secure > 0 && !cfg!(feature = "tls") {
        return Err(Error::NoTls);
    }
    // The library never leaves TLS once it has used it.
    if secure > 0 && secure < urls.len() { Err(Error::MixedUrls) } else { Ok(()) }
}

/// A client that signals nothing; `suffix` is the end of its identifier.
pub(super) fn bare_client(settings: &Settings, suffix: &str) -> paho_mqtt::Result<AsyncClient> {
    AsyncClient::new(
        CreateOptionsBuilder::new()
            .server_uri(settings.urls.first().map_or("", String::as_str))
            .client_id(format!("{}{suffix}", settings.client_id))
            .mqtt_version(version(settings.protocol))
            // Far more than is ever in flight: the backlog is in the outbox.
            .max_buffered_messages(10_000)
            .finalize(),
    )
}

/// How to connect, which is tried out once.
pub(super) fn make_options(settings: &Settings, will_topic: Option<&str>) -> Result<MakeOptions, Error> {
    connect_options(settings)?;
    let (settings, will_topic) = (settings.clone(), will_topic.map(ToOwned::to_owned));
    Ok(Box::new(move |url, fresh, will| {
        check_files(&settings)?;
        let mut options = connect_options(&settings)?;
        options.server_uris(&[url]);
        match settings.protocol {
            Protocol::V5 => options.clean_start(fresh),
            Protocol::V3 => options.clean_session(fresh),
        };
        if let (Some(topic), Some(will)) = (&will_topic, will) {
            options.will_message(will.message(topic, "offline"));
        }
        Ok(options.finalize())
    }))
}

fn version(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::V5 => MQTT_VERSION_5,
        Protocol::V3 => MQTT_VERSION_3_1_1,
    }
}

/// The library would only say that it does not work.
fn check_files(settings: &Settings) -> Result<(), Error> {
    for (key, file) in [("ca", &settings.ca), ("cert", &settings.certificate), ("key", &settings.key)] {
        if let Some(file) = file
            && let Err(error) = std::fs::File::open(file)
        {
            let why = crate::config::os_error(&error);
            return Err(Error::File { key, path: file.display().to_string(), why });
        }
    }
    Ok(())
}

/// All but the broker's URL, the last will, and whether the session shall go on.
fn connect_options(settings: &Settings) -> Result<ConnectOptionsBuilder, Error> {
    let mut options = ConnectOptionsBuilder::with_mqtt_version(version(settings.protocol));
    options.keep_alive_interval(settings.keep_alive).connect_timeout(CONNECT_TIMEOUT).max_inflight(100);
    if let Some(name) = &settings.username {
        if name.contains('\0') {
            return Err(paho_mqtt::Error::BadUtf8String.into());
        }
        options.user_name(name);
    }
    if let Some(password) = &settings.password {
        options.password(password.0.as_bytes());
    }
    if settings.protocol == Protocol::V5 {
        let mut properties = Properties::new();
        let seconds = u32::try_from(settings.session.as_secs()).unwrap_or(u32::MAX);
        properties.push_u32(PropertyCode::SessionExpiryInterval, seconds)?;
        properties.push_u32(PropertyCode::MaximumPacketSize, LONGEST_PACKET)?;
        options.properties(properties);
    }
    #[cfg(feature = "tls")]
    options.ssl_options(tls_options(settings)?);
    Ok(options)
}

/// Set for `mqtt://` too, where they have no effect: without them the library prints to standard output.
#[cfg(feature = "tls")]
fn tls_options(settings: &Settings) -> Result<paho_mqtt::SslOptions, Error> {
    let mut options = paho_mqtt::SslOptionsBuilder::new();
    options.enable_server_cert_auth(true).verify(true);
    if let Some(file) = &settings.ca {
        options.trust_store(file)?.disable_default_trust_store(true);
    } else if cfg!(feature = "tls-vendored") {
        // An OpenSSL that was built along does not know where the system keeps them.
        options.ca_path("/etc/ssl/certs")?;
    }
    if let Some(file) = &settings.certificate {
        options.key_store(file)?;
    }
    if let Some(file) = &settings.key {
        options.private_key(file)?;
    }
    Ok(options.finalize())
}
