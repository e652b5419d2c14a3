//! Tables as Markdown.

use std::fmt::Write;

use super::machine::Machine;
use crate::client::MESSAGE;
use crate::contender::Contender;
use crate::table::{Row, Unit};
use crate::workload::MEMORY_ROUNDS;

/// Returns the file, with the command that wrote it. A server that is not measured on a workload has an empty cell.
pub(crate) fn markdown(rows: &[Row], command: &str, rounds: usize, machine: &Machine) -> String {
    let Machine { cores, kernel, rustc } = machine;
    let rounds = match rounds {
        ..=MEMORY_ROUNDS => format!("{rounds} rounds"),
        _ => format!("{rounds} rounds, for memory {MEMORY_ROUNDS}"),
    };
    let mut text = format!(
        "# Cost of a delivery\n\n\
         Measured by `{command}`: {cores} cores, Linux {kernel}, rustc {rustc}, messages of {MESSAGE} bytes, medians of \
         {rounds} (least–most).\n\n\
         Server and client have a CPU each and communicate over loopback. Each run has a new server, and the rounds \
         alternate between servers. Figures vary with the machine: compare the ratios.\n\n"
    );
    for contender in Contender::ALL {
        let _ = writeln!(text, "- **{}**: {}", contender.name(), contender.about());
    }
    let cpu = "Microseconds of the server's CPU per delivery, by the scheduler's count, from when all subscribers are \
               connected until everything is delivered and the server is idle:";
    let memory = "Resident bytes per connection, above those of the server without connections:";
    for (unit, title) in [(Unit::Micros, cpu), (Unit::Bytes, memory)] {
        let rows: Vec<_> = rows.iter().filter(|row| row.unit == unit).collect();
        if !rows.is_empty() {
            let _ = write!(text, "\n{title}\n\n{}", table(&rows));
        }
    }
    text.push_str(
        "\n\"As fast as they go\": all POSTs at once on one connection, as for the batches. \"One POST a message\": each \
         POST is sent when the previous one to its topic is answered.\n",
    );
    text
}

fn table(rows: &[&Row]) -> String {
    let names = Contender::ALL.map(Contender::name).join(" | ");
    let mut text = format!(
        "| | {names} | tidings / axum | tidings / floor | lost, twice, out of order |\n|---|{}\n",
        "---:|".repeat(Contender::ALL.len() + 3)
    );
    for row in rows {
        let _ = write!(text, "| {} |", row.name);
        for contender in Contender::ALL {
            let _ = write!(text, " {} |", cell(row, contender));
        }
        for other in [Contender::Axum, Contender::Floor] {
            let _ = write!(text, " {} |", row.ratio(other).map(ratio).unwrap_or_default());
        }
        let counts = row.counts;
        let _ = writeln!(text, " {}, {}, {} |", counts.lost, counts.duplicated, counts.out_of_order);
    }
    text
}

fn ratio(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

fn cell(row: &Row, contender: Contender) -> String {
    let Some(spread) = row.spread(contender) else { return String::new() };
    let [median, least, most] = [spread.median, spread.least, spread.most].map(|figure| row.unit.write(figure));
    let median = if contender == Contender::Tidings { format!("**{median}**") } else { median };
    format!("{median} ({least}–{most})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Counts;

    #[test]
    fn a_row_has_every_server_its_ratios_and_its_counts() {
        let mut row = Row::new("many: SSE".to_owned(), Unit::Micros);
        for (contender, figure) in
            [(Contender::Floor, 2.0), (Contender::Axum, 4.0), (Contender::Tidings, 1.0), (Contender::Tidings, 2.0)]
        {
            row.add(contender, figure, Counts::default());
        }
        let machine = Machine { cores: 2, kernel: "6.1".to_owned(), rustc: "1.85.0".to_owned() };
        let text = markdown(&[row], "cargo x", 1, &machine);
        let line = "| many: SSE | 2.00 (2.00–2.00) |  | 4.00 (4.00–4.00) |  | **1.50** (1.00–2.00) | 0.38 | 0.75 | 0, 0, 0 |\n";
        assert!(text.contains(line), "{text}");
        let columns = |line: &str| line.matches('|').count();
        let table: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert!(table.iter().all(|line| columns(line) == columns(table[0])), "{text}");
        assert!(!text.contains("Resident bytes"), "no empty table");
    }
}
