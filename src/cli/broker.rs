//! The way to the broker, for commands that speak with agents through it.

use super::{Failure, File, code};
use crate::mqtt::Settings;
use clap::Args;

#[derive(Args)]
pub(super) struct Broker {
    /// The broker, instead of the configuration's
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    file: File,
}

impl Broker {
    /// The way to the broker, and the first topic level. `command` becomes part of the client's name.
    pub(super) fn settings(&self, command: &str) -> Result<(Settings, String), Failure> {
        let client = format!("halyard-{command}-{:016x}", fastrand::u64(..));
        let (mut settings, base) = match (&self.url, &self.file.config) {
            // A broker named on the command line needs no configuration, but one that is named too has the rest.
            (Some(url), None) => (Settings::new(vec![url.clone()], client.clone()), "halyard".to_owned()),
            _ => {
                let file = self.file.find()?;
                let config = crate::config::load(&file)
                    .map_err(|report| Failure::new(code::CONFIGURATION, report.to_string().trim_end()))?;
                (config.mqtt, config.base)
            }
        };
        if let Some(url) = &self.url {
            settings.urls = vec![url.clone()];
        }
        settings.client_id = client;
        Ok((settings, base))
    }
}
