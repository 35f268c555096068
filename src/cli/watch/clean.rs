//! Text from a broker, made fit for a terminal: whoever may publish must not move the cursor, set a title or type.

use std::fmt::Write;

/// What terminals act on, and what makes text look like another: controls of ASCII and of Latin-1 (C1), separators of
/// lines, marks of direction, characters without width, and tags.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// With each such character as an escape: `\u{1b}`.
pub(super) fn text(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut clean, c| {
        if is_active(c) {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
        clean
    })
}

/// The same for the text of a JSON value, where such characters are in strings only: it remains the same value.
pub(super) fn json(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut clean, c| {
        if is_active(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a text cannot fail.
                let _ = write!(clean, "\\u{unit:04x}");
            }
        } else {
            clean.push(c);
        }
        clean
    })
}
