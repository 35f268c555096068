//! The soak's course as a picture: a panel for each series, from zero.

use super::Point;
use std::fmt::Write;

/// What a panel shows: its name, and where its numbers are.
pub type Series = (&'static str, fn(&Point) -> f64);

/// What is measured.
#[allow(clippy::cast_precision_loss)] // far below 2^53
pub const SERIES: [Series; 5] = [
    ("resident memory, KiB", |point| point.resident_kib as f64),
    ("threads", |point| point.threads as f64),
    ("open files", |point| point.files as f64),
    ("processor, % of a core", |point| point.processor),
    ("states per second", |point| point.states),
];

const WIDTH: f64 = 720.0;
const PANEL: f64 = 110.0;
const LEFT: f64 = 60.0;
const GAP: f64 = 28.0;

/// As SVG.
pub fn plot(points: &[Point]) -> String {
    let end = points.last().map_or(1.0, |point| point.at.as_secs_f64());
    #[allow(clippy::cast_precision_loss)] // five
    let height = SERIES.len() as f64 * (PANEL + GAP) + GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + LEFT + 20.0
    );
    let mut top = GAP;
    for (name, of) in SERIES {
        let most = points.iter().map(of).fold(0.0, f64::max).max(1e-9) * 1.1;
        let mut line = String::new();
        for point in points {
            let x = LEFT + WIDTH * point.at.as_secs_f64() / end;
            write!(line, "{x:.1},{:.1} ", top + PANEL * (1.0 - of(point) / most)).unwrap();
        }
        let bottom = top + PANEL;
        write!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.0}\">{name}</text>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\n\
             <text x=\"{:.0}\" y=\"{bottom:.0}\" text-anchor=\"end\">0</text>\n\
             <path d=\"M{LEFT},{top} V{bottom} H{}\" fill=\"none\" stroke=\"#999\"/>\n\
             <polyline points=\"{line}\" fill=\"none\" stroke=\"#06c\"/>\n",
            top - 6.0,
            LEFT - 4.0,
            top + 10.0,
            short(most),
            LEFT - 4.0,
            LEFT + WIDTH
        )
        .unwrap();
        top += PANEL + GAP;
    }
    writeln!(
        svg,
        "<text x=\"{}\" y=\"{:.0}\" text-anchor=\"end\">{:.0} min</text>\n</svg>",
        LEFT + WIDTH,
        top - GAP + 12.0,
        end / 60.0
    )
    .unwrap();
    svg
}

/// With as many digits as somebody reads.
fn short(number: f64) -> String {
    if number < 100.0 { format!("{number:.1}") } else { format!("{number:.0}") }
}
