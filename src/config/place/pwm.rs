//! PWM channels: the key `pwm`.

use super::line::line_of;
use crate::config::model::PwmName;
use crate::config::written::PwmChannel;
use halyard_drivers::options::{Content, Node, Problem, read};

/// The channel that `key` names: of a chip, or a line or a pin of an expander that has one.
pub(super) fn pwm_of(key: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<PwmName> {
    let expected = "a line such as `GPIO18`, `{ chip: pwmchip0, channel: 0 }` or `{ expander: ID, pin: 3 }`";
    match &node.content {
        Content::Map(_) if ["offset", "expander", "pin"].iter().all(|key| node.get(key).is_none()) => {
            let PwmChannel { chip, channel } = read(node, problems)?;
            let is_chip = chip.strip_prefix("pwmchip").is_some_and(|number| number.parse::<u32>().is_ok());
            if !is_chip {
                let message = format!("`chip` must be a PWM chip such as `pwmchip0`, not {}", chip.shown());
                problems.push(Problem::new(chip.place, message));
                return None;
            }
            Some(PwmName::Channel { chip: chip.value, channel })
        }
        Content::Map(_) | Content::Text(_) | Content::Integer(_) => line_of(key, node, problems).map(PwmName::Line),
        Content::Unknown => None,
        _ => {
            problems.push(Problem::new(node.place, format!("`{key}` must be {expected}, not {}", node.shown())));
            None
        }
    }
}
