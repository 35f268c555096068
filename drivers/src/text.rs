//! What text an actuator takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What text an actuator takes. Nobody can make it write more, or anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Texts {
    /// Most characters.
    pub longest: usize,
    /// Which ones.
    pub characters: Characters,
}

/// Characters that can be written, and how they are. Control characters never are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Characters {
    /// Printable ASCII: space to `~`.
    #[default]
    Ascii,
    /// ISO 8859-1, a byte each: ASCII, and letters and signs of Western Europe such as `é` and `°`.
    Latin1,
    /// All of Unicode, one to four bytes each.
    Utf8,
}

/// Why a text is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has so many characters, which are too many.
    Long(usize),
    /// This character is none of those.
    Character(char),
}

impl Texts {
    /// Whether `text` is taken.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(&self, text: &str) -> Result<(), Unfit> {
        let length = text.chars().count();
        if length > self.longest {
            return Err(Unfit::Long(length));
        }
        match text.chars().find(|character| !self.characters.has(*character)) {
            Some(character) => Err(Unfit::Character(character)),
            None => Ok(()),
        }
    }

    /// What is wrong with a text, for people.
    #[must_use]
    pub fn explain(&self, unfit: Unfit) -> String {
        match unfit {
            Unfit::Long(length) => format!("{length} characters are too many: at most {}", self.longest),
            Unfit::Character(character) => format!("{character:?} cannot be written: there is {}", self.characters),
        }
    }
}

impl Characters {
    /// Whether this is one of them.
    #[must_use]
    pub fn has(self, character: char) -> bool {
        let highest = match self {
            Self::Ascii => '~',
            Self::Latin1 => '\u{FF}',
            Self::Utf8 => char::MAX,
        };
        character <= highest && !character.is_control()
    }

    /// The bytes of a text of such characters; of others, `?`.
    #[must_use]
    pub fn bytes(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Ascii | Self::Latin1 => {
                let known = |character: char| if self.has(character) { character } else { '?' };
                text.chars().filter_map(|character| u8::try_from(known(character)).ok()).collect()
            }
        }
    }

    /// How many bytes one can have.
    #[must_use]
    pub const fn most_bytes(self) -> usize {
        match self {
            Self::Ascii | Self::Latin1 => 1,
            Self::Utf8 => 4,
        }
    }
}

impl fmt::Display for Characters {
    /// Completes "there is …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ascii => "printable ASCII",
            Self::Latin1 => "the printable part of ISO 8859-1",
            Self::Utf8 => "all of Unicode but control characters",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 3629, section 7, and ISO/IEC 8859-1, table 1.
    #[test]
    fn bytes_of_the_standards() {
        assert_eq!(Characters::Utf8.bytes("A\u{2262}\u{391}."), [0x41, 0xE2, 0x89, 0xA2, 0xCE, 0x91, 0x2E]);
        assert_eq!(Characters::Utf8.bytes("\u{233B4}"), [0xF0, 0xA3, 0x8E, 0xB4]);
        assert_eq!(Characters::Latin1.bytes("20 °C, é, ÿ"), *b"20 \xB0C, \xE9, \xFF");
        assert_eq!(Characters::Ascii.bytes("20 °C"), *b"20 ?C");
    }

    #[test]
    fn nothing_else_is_taken() {
        let taken = |characters, text: &str| Texts { longest: 5, characters }.check(text);
        assert_eq!(taken(Characters::Ascii, " ~aZ0"), Ok(()));
        assert_eq!(taken(Characters::Ascii, "aaaaaa"), Err(Unfit::Long(6)));
        assert_eq!(taken(Characters::Utf8, "°°°°°"), Ok(()));
        for control in ['\0', '\t', '\n', '\r', '\x1b', '\x7f', '\u{85}', '\u{9f}'] {
            for characters in [Characters::Ascii, Characters::Latin1, Characters::Utf8] {
                assert_eq!(taken(characters, &format!("a{control}")), Err(Unfit::Character(control)));
            }
        }
        assert_eq!(taken(Characters::Ascii, "°"), Err(Unfit::Character('°')));
        assert_eq!(taken(Characters::Latin1, "€"), Err(Unfit::Character('€')));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_written_whole(text in any::<String>()) {
            for characters in [Characters::Ascii, Characters::Latin1, Characters::Utf8] {
                let texts = Texts { longest: 64, characters };
                let bytes = characters.bytes(&text);
                prop_assert!(bytes.len() <= text.chars().count() * characters.most_bytes());
                if texts.check(&text).is_ok() && characters != Characters::Utf8 {
                    prop_assert_eq!(bytes.len(), text.chars().count());
                    prop_assert_eq!(bytes.iter().map(|byte| char::from(*byte)).collect::<String>(), text.clone());
                }
            }
        }
    }
}
