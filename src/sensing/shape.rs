//! From a sample to a state: limits, filters, precision, JSON.

use super::filter::{Chain, Filter};
use crate::time::rfc3339;
use halyard_drivers::{Channel, Fault, Sample, Value};
use serde_json::{Map, Value as Json};
use std::time::{Instant, SystemTime};

/// What turns the samples of one sensor into its states.
pub struct Shape {
    channels: Vec<Shaped>,
}

struct Shaped {
    channel: Channel,
    chain: Chain,
    /// Whether filters decide about the number of decimal places.
    rounded: bool,
    /// What the channel held in the last state: a suppressed value leaves it there.
    last: Option<Value>,
}

impl Shape {
    /// Filters are by the index of the channel.
    #[must_use]
    pub fn new(channels: Vec<Channel>, filters: &[(usize, Vec<Filter>)]) -> Self {
        let channels = channels
            .into_iter()
            .enumerate()
            .map(|(index, channel)| {
                let steps = filters.iter().find(|(of, _)| *of == index).map_or(&[][..], |(_, steps)| steps);
                let rounded = steps.iter().any(|step| matches!(step, Filter::Round(_)));
                Shaped { channel, chain: Chain::new(steps), rounded, last: None }
            })
            .collect();
        Self { channels }
    }

    /// An empty sample for these channels.
    #[must_use]
    pub fn sample(&self) -> Sample {
        Sample::new(self.channels.len())
    }

    /// Whether the part can have given such a sample.
    ///
    /// # Errors
    /// A value outside of its channel's range.
    pub fn check(&self, sample: &Sample) -> Result<(), Fault> {
        for (shaped, value) in self.channels.iter().zip(sample.values()) {
            if let (Some(Value::Number(number)), Some(range)) = (value, &shaped.channel.range)
                && !range.contains(number)
            {
                let (name, unit) = (&shaped.channel.name, shaped.channel.quantity.unit.unwrap_or_default());
                let (low, high) = (range.start(), range.end());
                return Err(Fault::corrupt(format!("{name} is {number} {unit}, outside of {low} to {high} {unit}")));
            }
        }
        Ok(())
    }

    /// The state; `None` if filters suppress all of it.
    ///
    /// # Errors
    /// A value that the part cannot have given.
    pub fn state(
        &mut self,
        sample: &Sample,
        time: SystemTime,
        now: Instant,
    ) -> Result<Option<Map<String, Json>>, Fault> {
        self.check(sample)?;
        let mut passed = false;
        for (shaped, value) in self.channels.iter_mut().zip(sample.values()) {
            let value = match value {
                Some(Value::Number(number)) => shaped.chain.apply(*number, now).map(Value::Number),
                other => other.clone(),
            };
            if let Some(value) = value {
                passed = true;
                shaped.last = Some(shaped.round(value));
            }
        }
        Ok(passed.then(|| self.last(time)))
    }

    /// Something that happened, with the state in which it did: whoever reads a state finds one in each message.
    #[must_use]
    pub fn event(&self, event: &str, time: SystemTime) -> Map<String, Json> {
        let mut all = self.last(time);
        all.insert("event".into(), event.into());
        all
    }

    /// The last state, with another time.
    fn last(&self, time: SystemTime) -> Map<String, Json> {
        let mut state = Map::new();
        state.insert("time".into(), Json::String(rfc3339(time)));
        for shaped in &self.channels {
            if let Some(value) = &shaped.last {
                state.insert(shaped.channel.name.clone().into_owned(), json_of(value));
            }
        }
        state
    }
}

impl Shaped {
    /// Decimal places beyond the channel's precision are noise, unless a filter was told otherwise.
    fn round(&self, value: Value) -> Value {
        match value {
            Value::Number(number) if !self.rounded => {
                let factor = 10_f64.powi(i32::from(self.channel.quantity.precision));
                let rounded = (number * factor).round() / factor;
                Value::Number(if rounded.is_finite() { rounded } else { number })
            }
            other => other,
        }
    }
}

/// A value as it stands in a state; one that is no number, which filters cannot make but JSON cannot say, is null.
#[must_use]
pub fn json_of(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or(Json::Null)
}
