//! The same for Prometheus, in the text format of OpenMetrics.

use super::Health;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde_json::Value as Json;
use std::fmt;
use std::time::SystemTime;

/// A value, and the labels that tell it from others of the same name.
type Row = (Vec<(&'static str, String)>, f64);

impl Health {
    /// All of it in the text format of OpenMetrics 1.0.
    ///
    /// # Errors
    /// None that is known: a text has room.
    pub fn metrics(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        text::encode(&mut page, &registry)?;
        Ok(page)
    }
}

impl Collector for Health {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut gauge = |name, help, rows: &[Row]| write(&mut encoder, MetricType::Gauge, name, help, rows);
        gauge(
            "halyard_info",
            "Which program runs",
            &[(vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("board", self.board.to_owned())], 1.0)],
        )?;
        gauge("halyard_start_time_seconds", "When the agent started, since the epoch", &[only(self.started())])?;
        gauge("halyard_broker_connected", "1 with a connection to the broker", &[only(flag(self.outbox.connected))])?;
        gauge("halyard_queue_depth", "Messages that wait for the broker", &[only(count(self.outbox.depth as u64))])?;
        gauge(
            "halyard_queue_in_flight",
            "Messages that the broker has not acknowledged yet",
            &[only(count(self.outbox.in_flight as u64))],
        )?;
        gauge("halyard_store_bytes", "What waits on disk for the broker", &[only(count(self.outbox.bytes))])?;
        gauge("halyard_store_problem", "1 if what waits is not on disk", &[only(flag(self.outbox.problem.is_some()))])?;
        gauge("halyard_online", "1 for an entity that works", &self.each(|entity| entity.online.map(flag)))?;
        gauge(
            "halyard_problem_since_seconds",
            "Since when an entity does not work, since the epoch",
            &self.each(|entity| entity.problem.as_ref().map(|problem| epoch(problem.since))),
        )?;
        gauge("halyard_state", "The newest state of an entity, 1 for ON", &self.states())?;

        let mut counter = |name, help, rows: &[Row]| write(&mut encoder, MetricType::Counter, name, help, rows);
        counter("halyard_broker_connections", "Connections to the broker", &[only(count(self.connections))])?;
        let outbox = &self.outbox;
        counter("halyard_messages_delivered", "Messages acknowledged by the broker", &[only(count(outbox.delivered))])?;
        counter("halyard_messages_dropped", "Messages given up for want of room", &[only(count(outbox.dropped))])?;
        counter("halyard_messages_failed", "Messages that the broker refused", &[only(count(outbox.failed))])?;
        counter("halyard_messages_repeated", "Messages that were sent again", &[only(count(outbox.repeated))])?;
        counter("halyard_faults", "Faults of an entity", &self.each(|entity| Some(count(entity.faults))))?;
        counter("halyard_commands", "Commands by their result: applied, or why not", &self.commands_by_result())?;
        let buses = |value: fn(&crate::bus::Load) -> f64| -> Vec<Row> {
            self.buses.iter().map(|(name, load)| (vec![("bus", name.clone())], value(load))).collect()
        };
        counter("halyard_bus_transfers", "Transfers on a bus", &buses(|load| count(load.transfers)))?;
        counter("halyard_bus_failures", "Transfers that failed", &buses(|load| count(load.failed)))?;
        counter(
            "halyard_bus_seconds",
            "Time that transfers took, waits included",
            &buses(|load| load.time.as_secs_f64()),
        )
    }
}

impl Health {
    fn started(&self) -> f64 {
        epoch(SystemTime::now()) - self.uptime.as_secs_f64()
    }

    /// A row for each entity that has such a value.
    fn each(&self, value: impl Fn(&super::Entity) -> Option<f64>) -> Vec<Row> {
        let row = |(id, entity): &(String, super::Entity)| Some((vec![("entity", id.clone())], value(entity)?));
        self.entities.iter().filter_map(row).collect()
    }

    fn commands_by_result(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (id, entity) in &self.entities {
            for (result, number) in &entity.commands {
                rows.push((vec![("entity", id.clone()), ("result", (*result).to_owned())], count(*number)));
            }
        }
        rows
    }

    /// What in the states is a number, or can be one. A text is none, whatever it says.
    fn states(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (id, entity) in &self.entities {
            for (channel, value) in entity.state.iter().filter_map(Json::as_object).flatten() {
                let value = match value {
                    // Of a command, and anything.
                    Json::String(_) if entity.is_text || channel == "id" => None,
                    Json::Number(number) => number.as_f64(),
                    Json::Bool(on) => Some(flag(*on)),
                    Json::String(text) if text == "ON" || text == "OFF" => Some(flag(text == "ON")),
                    _ => None,
                };
                if let Some(value) = value {
                    rows.push((vec![("entity", id.clone()), ("channel", channel.clone())], value));
                }
            }
        }
        rows
    }
}

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    metric_type: MetricType,
    name: &str,
    help: &str,
    rows: &[Row],
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, metric_type)?;
    let encode = |value: f64, row: MetricEncoder<'_>| match metric_type {
        MetricType::Counter => ConstCounter::new(value).encode(row),
        _ => ConstGauge::new(value).encode(row),
    };
    match rows {
        [(labels, value)] if labels.is_empty() => encode(*value, family),
        rows => rows.iter().try_for_each(|(labels, value)| encode(*value, family.encode_family(labels)?)),
    }
}

fn only(value: f64) -> Row {
    (Vec::new(), value)
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

#[allow(clippy::cast_precision_loss)] // beyond 2^53 nobody counts
fn count(number: u64) -> f64 {
    number as f64
}

fn epoch(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
