//! CPU times as an SVG bar chart, on a logarithmic scale.

use std::fmt::Write;

use crate::contender::Contender;
use crate::table::{Row, Unit};

const WIDTH: f64 = 860.0;
/// Left end of the bars, and right end of the longest: its figure is behind it.
const LEFT: f64 = 330.0;
const RIGHT: f64 = 810.0;
/// Space above the first row, for the legend and the scale.
const TOP: f64 = 56.0;
/// Distance of two bars, and height of a bar.
const PITCH: f64 = 12.0;
const BAR: f64 = 9.0;
/// Distance of two workloads.
const GAP: f64 = 14.0;

/// Colours that are legible on light and dark backgrounds.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#1f2328}.n{font-size:10px}.t{font-size:10px;\
    text-anchor:middle;opacity:.7}.w{text-anchor:end}.d{opacity:.7}line{stroke:#8888;stroke-width:.5}\
    .floor{fill:#7d8590}.floor-batch{fill:#afb8c1}.axum{fill:#d4702a}.tuned{fill:#e0ab3f}.tidings{fill:#2f81f7}\
    .b{font-weight:700}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.floor-batch{fill:#57606a}}";

/// Returns the file.
pub(crate) fn chart(rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().filter(|row| row.unit == Unit::Micros && !medians(row).is_empty()).collect();
    let scale = Scale::over(rows.iter().flat_map(|row| medians(row)).map(|(_, median)| median));
    let mut body = String::new();
    let mut top = TOP;
    for row in &rows {
        top = group(&mut body, row, top, &scale) + GAP;
    }
    let bottom = top - GAP / 2.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {bottom}\" role=\"img\">\n\
         <title>Microseconds of server CPU per delivery</title>\n<style>{STYLE}</style>\n{}{}{body}</svg>\n",
        legend(),
        axis(&scale, bottom)
    )
}

/// Returns the powers of ten, from one below all figures to one above.
struct Scale {
    from: i32,
    to: i32,
}

impl Scale {
    fn over(figures: impl Iterator<Item = f64> + Clone) -> Self {
        let (least, most) = (figures.clone().fold(1.0, f64::min), figures.fold(1.0, f64::max));
        let from = least.max(1e-6).log10().floor() as i32;
        Self { from, to: (most.log10().ceil() as i32).max(from + 1) }
    }

    fn x(&self, figure: f64) -> f64 {
        let part = (figure.max(1e-6).log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
}

fn medians(row: &Row) -> Vec<(Contender, f64)> {
    let of = |contender| Some((contender, row.spread(contender)?.median));
    Contender::ALL.into_iter().filter_map(of).collect()
}

/// Draws a workload below `top`. Returns its end.
fn group(body: &mut String, row: &Row, top: f64, scale: &Scale) -> f64 {
    let medians = medians(row);
    let bottom = top + PITCH * medians.len() as f64;
    let (who, what) = row.name.split_once(", ").unwrap_or(("", &row.name));
    let (x, y) = (LEFT - 10.0, (top + bottom) / 2.0);
    let _ = writeln!(body, "<text class=\"w\" x=\"{x}\" y=\"{}\">{what}</text>", y - 2.0);
    let _ = writeln!(body, "<text class=\"w d\" x=\"{x}\" y=\"{}\">{who}</text>", y + 12.0);
    for (index, (contender, median)) in medians.into_iter().enumerate() {
        let (name, y, end) = (contender.name(), top + PITCH * index as f64, scale.x(median));
        let bold = if contender == Contender::Tidings { " b" } else { "" };
        let _ = writeln!(
            body,
            "<rect class=\"{name}\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\"/>\
             <text class=\"n{bold}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            end - LEFT,
            end + 4.0,
            y + BAR - 0.5,
            row.unit.write(median)
        );
    }
    bottom
}

fn legend() -> String {
    let mut text =
        String::from("<text class=\"b\" x=\"10\" y=\"20\">µs of server CPU per delivery, log scale</text>\n");
    for (index, contender) in Contender::ALL.into_iter().enumerate() {
        let (name, x) = (contender.name(), LEFT + 100.0 * index as f64);
        let _ = writeln!(
            text,
            "<rect class=\"{name}\" x=\"{x}\" y=\"11\" width=\"10\" height=\"10\"/><text x=\"{}\" y=\"20\">{name}</text>",
            x + 15.0
        );
    }
    text
}

fn axis(scale: &Scale, bottom: f64) -> String {
    let mut text = String::new();
    for power in scale.from..=scale.to {
        let figure = 10_f64.powi(power);
        let x = scale.x(figure);
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\"/><text class=\"t\" x=\"{x:.1}\" y=\"{}\">{figure}</text>",
            TOP - 4.0,
            TOP - 8.0
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Counts;

    #[test]
    fn bars_grow_with_their_figures_and_stay_on_the_page() {
        let scale = Scale::over([0.132, 2.7, 49.0].into_iter());
        assert_eq!((scale.from, scale.to), (-1, 2));
        let ends = [0.132, 1.0, 2.7, 49.0].map(|figure| scale.x(figure));
        assert!(ends.is_sorted() && ends[0] > LEFT && ends[3] < RIGHT, "{ends:?}");
        assert_eq!((scale.x(0.0), scale.x(1e9)), (LEFT, RIGHT));
    }

    #[test]
    fn each_server_has_a_bar_with_its_figure() {
        let mut row = Row::new("1,000 subscribers, 300 messages: SSE".to_owned(), Unit::Micros);
        row.add(Contender::Axum, 4.25, Counts::default());
        row.add(Contender::Tidings, 0.132, Counts::default());
        let svg = chart(&[row, Row::new("idle".to_owned(), Unit::Bytes)]);
        assert!(svg.contains(">4.25</text>") && svg.contains(">0.132</text>") && !svg.contains("idle"), "{svg}");
        let bars = |name: &str| svg.matches(&format!("<rect class=\"{name}\"")).count();
        assert_eq!([bars("axum"), bars("tidings"), bars("floor")], [2, 2, 1], "a bar, and the legend's");
    }
}
