//! Lines of text with values of other entities in them: `{climate.temperature:.1} °C`.

use crate::options::node::quote;
use crate::text::Characters;
use crate::value::Value;

/// What stands for a value that is not known, or whose entity is offline.
pub const UNKNOWN: &str = "--";
/// Most decimal places, as they are written.
const MOST_DECIMALS: u8 = b'6';

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Reference),
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The entity's id.
    pub entity: String,
    /// Which of its values.
    pub value: Option<String>,
    /// Decimal places.
    pub decimals: Option<u8>,
}

impl Template {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, String> {
        if let Some(unfit) = line.chars().find(|character| !Characters::Latin1.has(*character)) {
            return Err(format!("{unfit:?} cannot be shown: there is {}", Characters::Latin1));
        }
        let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), line);
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            rest = if let Some(after) = after.strip_prefix(brace) {
                text.push_str(brace);
                after
            } else if brace == "}" {
                return Err("a `}` without its `{`; for one to be shown, write `}}`".to_owned());
            } else {
                let (inside, after) =
                    after.split_once('}').ok_or("a `{` without its `}`; for one to be shown, write `{{`")?;
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Value(Reference::parse(inside)?));
                after
            };
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self(pieces))
    }

    /// The values in it, in their order.
    pub fn values(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Value(reference) => Some(reference),
            Piece::Text(_) => None,
        })
    }

    /// How many characters it has at least: a value has one.
    #[must_use]
    pub fn shortest(&self) -> usize {
        let length = |piece: &Piece| match piece {
            Piece::Text(text) => text.chars().count(),
            Piece::Value(_) => 1,
        };
        self.0.iter().map(length).sum()
    }

    /// The line with its values, which are taken from `values` in their order.
    pub fn fill<'a>(&self, values: &mut impl Iterator<Item = &'a Option<Value>>) -> String {
        let mut line = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Value(reference) => match values.next() {
                    Some(Some(value)) => line.push_str(&reference.show(value)),
                    _ => line.push_str(UNKNOWN),
                },
            }
        }
        line
    }
}

impl Reference {
    /// `pump`, `climate.temperature`, `climate.temperature:.1`.
    fn parse(text: &str) -> Result<Self, String> {
        let (name, format) = text.split_once(':').map_or((text, None), |(name, format)| (name, Some(format)));
        let (entity, value) = name.split_once('.').map_or((name, None), |(entity, value)| (entity, Some(value)));
        if entity.is_empty() || value == Some("") {
            let example = "the id of a sensor or an actuator, and one of its values, as in `{climate.temperature}`";
            return Err(format!("{} names nothing: in braces is {example}", quote(&format!("{{{text}}}"))));
        }
        let decimals = match format {
            None => None,
            Some(format) => match format.as_bytes() {
                [b'.', digit @ b'0'..=MOST_DECIMALS] => Some(digit - b'0'),
                _ => {
                    let format = quote(&format!(":{format}"));
                    return Err(format!("{format} is no format: `:.1` gives one decimal place"));
                }
            },
        };
        Ok(Self { entity: entity.to_owned(), value: value.map(str::to_owned), decimals })
    }

    fn show(&self, value: &Value) -> String {
        match (value, self.decimals) {
            (Value::Text(text), _) => text.clone(),
            (Value::Number(number), Some(decimals)) => {
                let text = format!("{number:.*}", decimals.into());
                // Nothing is -0.0.
                let is_zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
                if is_zero { text.trim_start_matches('-').to_owned() } else { text }
            }
            (value, _) => value.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str, values: &[Option<Value>]) -> String {
        Template::parse(line).unwrap().fill(&mut values.iter())
    }

    #[test]
    fn lines_have_values_in_them() {
        let number = |number| Some(Value::Number(number));
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        assert_eq!(filled("{climate.temperature:.1} °C", &[number(21.456)]), "21.5 °C");
        assert_eq!(filled("pump {pump}", &[text("ON")]), "pump ON");
        assert_eq!(filled("{a.b} {a.c:.0}%", &[number(21.0), number(40.2)]), "21 40%");
        assert_eq!(filled("{a:.1}|{b}|{c}", &[number(-0.04), None]), "0.0|--|--");
        assert_eq!(filled("{{a}} }}{a}{{", &[number(1.5)]), "{a} }1.5{");
        assert_eq!(filled("", &[]), "");
        assert_eq!(Template::parse("{a.b:.2} °{c}").unwrap().shortest(), 4);
    }

    #[test]
    fn says_what_is_wrong() {
        for (line, message) in [
            ("{a", "a `{` without its `}`; for one to be shown, write `{{`"),
            ("a}", "a `}` without its `{`; for one to be shown, write `}}`"),
            ("{a:1f}", "`:1f` is no format: `:.1` gives one decimal place"),
            ("{a:.9}", "`:.9` is no format: `:.1` gives one decimal place"),
            ("{a:.+1}", "`:.+1` is no format: `:.1` gives one decimal place"),
            ("{a:.}", "`:.` is no format: `:.1` gives one decimal place"),
            ("{a:.-1}", "`:.-1` is no format: `:.1` gives one decimal place"),
            ("5 €", "'€' cannot be shown: there is the printable part of ISO 8859-1"),
            ("a\tb", "'\\t' cannot be shown: there is the printable part of ISO 8859-1"),
        ] {
            assert_eq!(Template::parse(line).unwrap_err(), message);
        }
        for line in ["{}", "{.a}", "{a.}", "{:.1}"] {
            assert!(Template::parse(line).unwrap_err().contains("names nothing"), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(line in ".{0,40}|[{}a.:1 ]{0,20}") {
            if let Ok(template) = Template::parse(&line) {
                let values: Vec<_> = template.values().map(|_| Some(Value::Number(1.0))).collect();
                let filled = template.fill(&mut values.iter());
                proptest::prop_assert!(filled.chars().count() >= template.shortest());
            }
        }
    }
}
