//! The log: to stderr, with the journal's levels under systemd.
//!
//! A level says what the operator has to do: `error`: something does not work and needs a hand; `warn`: something is wrong
//! and may mend itself; `info`: what happened that one may want to know later; `debug`, `trace`: for looking into a
//! problem. `HALYARD_LOG` chooses how much is shown.

use std::fmt;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// A line is `<4>message` in the journal, and `10:00:00.123Z WARN message` elsewhere.
struct Lines {
    journal: bool,
    color: bool,
}

pub(super) fn init(usual: LevelFilter) {
    let level = std::env::var("HALYARD_LOG").ok();
    let level = level.as_deref().map_or(Ok(usual), str::parse);
    let shown = *level.as_ref().unwrap_or(&usual);
    // What libraries have to say is for those who look into a problem.
    let targets = Targets::new()
        .with_target("halyard", shown)
        .with_target("halyard_drivers", shown)
        .with_default(LevelFilter::ERROR);
    let journal = goes_to_journal();
    let lines = Lines { journal, color: !journal && std::io::stderr().is_terminal() };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).event_format(lines);
    tracing_subscriber::registry().with(layer).with(targets).init();
    if level.is_err() {
        tracing::warn!("HALYARD_LOG is not one of error, warn, info, debug, trace");
    }
}

/// Whether stderr is what the service manager connected with the journal, which says so by device and inode (systemd.exec(5)):
/// the variable alone is inherited by whatever is started there.
fn goes_to_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|stderr| *stream == *format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// What the journal takes for an error, where that is where it goes.
pub(super) fn error(text: &str) -> String {
    if goes_to_journal() { leveled(3, text) } else { text.to_owned() }
}

/// Each line is an entry of its own there, with a level of its own.
fn leveled(priority: u8, text: &str) -> String {
    text.lines().map(|line| format!("<{priority}>{line}\n")).collect()
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (priority, name, color) = match *event.metadata().level() {
            Level::ERROR => (3, "ERROR", "31"),
            Level::WARN => (4, "WARN", "33"),
            Level::INFO => (6, "INFO", "32"),
            Level::DEBUG => (7, "DEBUG", "34"),
            Level::TRACE => (7, "TRACE", "35"),
        };
        if self.journal {
            let mut message = String::new();
            context.format_fields(Writer::new(&mut message), event)?;
            return out.write_str(&leveled(priority, &message));
        }
        let time = crate::time::rfc3339(std::time::SystemTime::now());
        if self.color {
            write!(out, "\x1b[2m{time}\x1b[0m \x1b[{color}m{name:<5}\x1b[0m ")?;
        } else {
            write!(out, "{time} {name:<5} ")?;
        }
        context.format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}
