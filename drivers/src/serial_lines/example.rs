//! What a pattern matches: the shortest line, with places for the values.

use regex_lite::Regex;
use std::str::Chars;

/// A part of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// The value of the channel of this name.
    Value(String),
}

/// The pieces of a line that `pattern` matches. The pattern is a right one: what is wrong in it is taken as text.
#[must_use]
pub fn example(pattern: &str) -> Vec<Piece> {
    Walk(pattern.chars()).choices()
}

/// The rest of a pattern.
struct Walk<'a>(Chars<'a>);

impl Walk<'_> {
    fn peek(&self) -> Option<char> {
        self.0.clone().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.0.next();
        }
        is_next
    }

    /// What is left up to `end`, and goes over both.
    fn until(&mut self, end: char) -> String {
        self.0.by_ref().take_while(|c| *c != end).collect()
    }

    /// Up to the end of a group: the first of the choices that has a channel, or the first.
    fn choices(&mut self) -> Vec<Piece> {
        let mut chosen = self.sequence();
        while self.take('|') {
            let other = self.sequence();
            if has_value(&other) && !has_value(&chosen) {
                chosen = other;
            }
        }
        chosen
    }

    fn sequence(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while let Some(c) = self.peek().filter(|c| !matches!(c, '|' | ')')) {
            self.0.next();
            let atom = self.atom(c);
            // An optional channel is there.
            let times = self.least().max(usize::from(has_value(&atom)));
            (0..times.min(100)).for_each(|_| pieces.extend(atom.iter().cloned()));
        }
        pieces
    }

    fn atom(&mut self, first: char) -> Vec<Piece> {
        let text = match first {
            '(' => return self.group(),
            '^' | '$' => String::new(),
            '.' => member("."),
            '[' => self.class(),
            '\\' => self.escape(),
            other => other.to_string(),
        };
        vec![Piece::Text(text)]
    }

    fn group(&mut self) -> Vec<Piece> {
        let mut name = None;
        if self.take('?') {
            self.take('P');
            if self.take('<') {
                name = Some(self.until('>'));
            } else if self.0.by_ref().find(|c| matches!(c, ':' | ')')) == Some(')') {
                return Vec::new(); // flags for what follows
            }
        }
        let pieces = self.choices();
        self.take(')');
        name.map_or(pieces, |name| vec![Piece::Value(name)])
    }

    /// A character of a class in brackets.
    fn class(&mut self) -> String {
        let mut class = String::from("[");
        if self.take('^') {
            class.push('^');
        }
        // At the beginning it does not end the class.
        if self.take(']') {
            class.push(']');
        }
        while let Some(c) = self.0.next() {
            class.push(c);
            match c {
                ']' => break,
                '\\' => class.extend(self.0.next()),
                '[' if self.take(':') => class.push_str(&format!(":{}]", self.until(']'))), // [:digit:]
                _ => {}
            }
        }
        member(&class)
    }

    fn escape(&mut self) -> String {
        match self.0.next() {
            Some('b' | 'B' | 'A' | 'z' | '<' | '>') => {
                if self.take('{') {
                    self.until('}'); // \b{start}
                }
                String::new()
            }
            Some(c @ ('x' | 'u' | 'U')) => {
                let code = if self.take('{') {
                    self.until('}')
                } else {
                    let digits =
                        [('x', 2), ('u', 4)].iter().find(|(kind, _)| *kind == c).map_or(8, |(_, digits)| *digits);
                    self.0.by_ref().take(digits).collect()
                };
                u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).map(String::from).unwrap_or_default()
            }
            Some(c) if c.is_ascii_alphanumeric() => member(&format!("\\{c}")),
            other => other.map(String::from).unwrap_or_default(),
        }
    }

    /// How often what was before must be there at least.
    fn least(&mut self) -> usize {
        let least = match self.peek() {
            Some('*' | '?') => 0,
            Some('+') => 1,
            Some('{') => {
                self.0.next();
                let numbers = self.until('}');
                self.take('?');
                return numbers.split(',').next().and_then(|least| least.trim().parse().ok()).unwrap_or(1);
            }
            _ => return 1,
        };
        self.0.next();
        self.take('?');
        least
    }
}

fn has_value(pieces: &[Piece]) -> bool {
    pieces.iter().any(|piece| matches!(piece, Piece::Value(_)))
}

/// A character that a class matches, best one that is seen.
fn member(class: &str) -> String {
    let regex = Regex::new(&format!("^{class}$")).ok();
    let matches = |text: &String| regex.as_ref().is_some_and(|regex| regex.is_match(text));
    ('0'..='9').chain(' '..='~').chain('\0'..='\u{FFFF}').map(String::from).find(matches).unwrap_or_default()
}
