//! The terminal: a second screen while it is in use, and the first one as it was afterwards.

use std::io::Write;

/// What is assumed where the terminal does not say.
const USUAL: (usize, usize) = (80, 24);
/// Second screen, no cursor, no lines that go on in the next one; and all of it back.
const OPEN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const CLOSE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// The second screen, until it is dropped.
pub(super) struct Screen {
    shown: String,
}

impl Screen {
    pub(super) fn open() -> Self {
        write(OPEN);
        Self { shown: String::new() }
    }

    /// Draws these lines, made for a width and a height, unless they are there already.
    pub(super) fn draw(&mut self, lines: impl FnOnce(usize, usize) -> Vec<String>) {
        let (width, height) = size();
        let mut frame = "\x1b[H".to_owned();
        for (index, line) in lines(width, height).iter().take(height).enumerate() {
            if index > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(line);
            frame.push_str("\x1b[K");
        }
        frame.push_str("\x1b[J");
        if frame != self.shown {
            write(&frame);
            self.shown = frame;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write(CLOSE);
    }
}

/// A terminal that has gone away sends a hang-up as well.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Columns and lines.
fn size() -> (usize, usize) {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes one winsize, which `size` is.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    match (result, size.ws_col, size.ws_row) {
        (0, width @ 1.., height @ 1..) => (width.into(), height.into()),
        _ => USUAL,
    }
}
