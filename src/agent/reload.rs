//! A new configuration for the running agent: what is the same is not touched.

use super::discovery::Discovery;
use super::{Agent, subscriptions};
use crate::config::Config;
use tracing::{error, info};

impl Agent {
    /// Reads the configuration, and changes what changed. A wrong one changes nothing.
    ///
    /// # Errors
    /// All problems of the file, or what only a restart can change.
    pub(super) async fn reload(&mut self) -> Result<Vec<String>, String> {
        let result = match (self.reader)() {
            Ok(new) => match needs_restart(&self.config, &new) {
                None => Ok(self.apply(new).await),
                Some(what) => Err(format!("`{what}` changed: that needs a restart; nothing was changed")),
            },
            Err(problems) => Err(problems),
        };
        match &result {
            Ok(changed) if changed.is_empty() => info!("reloaded: nothing changed"),
            Ok(changed) => info!("reloaded: {}", changed.join(", ")),
            Err(problems) => error!("not reloaded, all goes on as before:\n{problems}"),
        }
        result
    }

    async fn apply(&mut self, new: Config) -> Vec<String> {
        let (mut changed, mut removed) = (Vec::new(), Vec::new());
        self.listen(&new);
        // What goes, goes first: its place may be taken by what comes.
        for old in std::mem::take(&mut self.config.sensors) {
            let kept = new.sensors.iter().find(|sensor| sensor.id == old.id);
            if kept.is_some_and(|sensor| sensor.fingerprint == old.fingerprint) {
                continue;
            }
            if let Some(running) = self.sensors.remove(&old.id) {
                running.cancel.cancel();
                let _ = tokio::time::timeout(super::SENSORS_STOP, running.task).await;
            }
            if kept.is_none() {
                removed.push(old.id);
            }
        }
        for old in std::mem::take(&mut self.config.actuators) {
            let kept = new.actuators.iter().find(|actuator| actuator.id == old.id);
            if kept.is_none_or(|actuator| actuator.fingerprint != old.fingerprint) {
                self.acting.remove(&old.id).await;
                self.running_actuators.remove(&old.id);
                if kept.is_none() {
                    removed.push(old.id);
                }
            }
        }
        self.surroundings.bus.follow(&new);
        for sensor in &new.sensors {
            if !self.sensors.contains_key(&sensor.id) {
                changed.push(format!("{} started", sensor.id));
                self.start_sensor(sensor.clone());
            }
        }
        for actuator in &new.actuators {
            if self.running_actuators.insert(actuator.id.clone()) {
                changed.push(format!("{} started", actuator.id));
                self.acting.add(actuator.clone());
            }
        }
        if let Some(discovery) = &mut self.discovery {
            let prefix = new.discovery.as_deref().unwrap_or_default();
            let next = Discovery::new(prefix, &new, self.reporter.topics(), self.reporter.board());
            discovery.replace(next, &self.reporter);
        }
        // After discovery: Home Assistant still listens to the topics of what it has not removed yet.
        for id in removed {
            self.reporter.remove(&id);
            changed.push(format!("{id} removed"));
        }
        self.config = new;
        self.reporter.publish_health();
        changed
    }

    /// Listens to the controllers of a new configuration, and to no others.
    fn listen(&self, new: &Config) {
        let (old, new) = (subscriptions(&self.config), subscriptions(new));
        let more: Vec<_> = new.iter().filter(|(filter, _)| !old.contains_key(*filter)).collect();
        let less: Vec<_> = old.keys().filter(|filter| !new.contains_key(*filter)).cloned().collect();
        if !less.is_empty() {
            self.client.unsubscribe(less);
        }
        if !more.is_empty() {
            self.client.subscribe(more.into_iter().map(|(filter, qos)| (filter.clone(), *qos)).collect());
        }
    }
}

/// What the two differ in that a running agent cannot change.
fn needs_restart(old: &Config, new: &Config) -> Option<&'static str> {
    [
        ("agent", old.agent != new.agent),
        ("agent: { watchdog }", old.watchdog != new.watchdog),
        ("agent: { store }", old.store != new.store),
        ("board", old.board != new.board),
        ("broker", old.broker != new.broker),
        ("metrics", old.metrics != new.metrics),
        ("mqtt", old.mqtt != new.mqtt || old.base != new.base || old.discovery != new.discovery),
    ]
    .into_iter()
    .find_map(|(what, differs)| differs.then_some(what))
}
