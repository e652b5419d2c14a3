//! Rows of the results: medians, spreads, ratios.

use crate::client::Counts;
use crate::contender::Contender;
use crate::workload::grouped;

/// Unit of the figures of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Microseconds of the server's CPU time per delivery.
    Micros,
    /// Resident bytes per connection.
    Bytes,
}

/// One row: figures of each server, in the order of the rounds.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    cells: Vec<(Contender, Vec<f64>)>,
    pub(crate) counts: Counts,
}

/// A cell: median, minimum and maximum of the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Row {
    pub(crate) fn new(name: String, unit: Unit) -> Self {
        Self { name, unit, cells: Vec::new(), counts: Counts::default() }
    }

    /// Adds the figure of a run.
    pub(crate) fn add(&mut self, contender: Contender, figure: f64, counts: Counts) {
        self.counts = self.counts.and(counts);
        match self.cells.iter_mut().find(|(one, _)| *one == contender) {
            Some((_, figures)) => figures.push(figure),
            None => self.cells.push((contender, vec![figure])),
        }
    }

    /// Returns the cell, or `None` for a server that was not measured.
    pub(crate) fn spread(&self, contender: Contender) -> Option<Spread> {
        let (_, figures) = self.cells.iter().find(|(one, _)| *one == contender)?;
        Spread::of(figures)
    }

    /// Returns the median of tidings divided by the other's.
    pub(crate) fn ratio(&self, other: Contender) -> Option<f64> {
        Some(self.spread(Contender::Tidings)?.median / self.spread(other)?.median)
    }
}

impl Spread {
    fn of(figures: &[f64]) -> Option<Self> {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let (low, high) = (sorted.get((sorted.len() - 1) / 2)?, sorted.get(sorted.len() / 2)?);
        Some(Self { median: (low + high) / 2.0, least, most })
    }
}

impl Unit {
    /// Formats two or three significant digits, or whole bytes.
    pub(crate) fn write(self, figure: f64) -> String {
        match self {
            Self::Bytes => grouped(figure.round() as u64),
            Self::Micros if figure < 1.0 => format!("{figure:.3}"),
            Self::Micros if figure < 10.0 => format!("{figure:.2}"),
            Self::Micros => format!("{figure:.1}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(Contender, &[f64])]) -> Row {
        let mut row = Row::new("x".to_owned(), Unit::Micros);
        for (contender, figures) in cells {
            figures.iter().for_each(|&figure| row.add(*contender, figure, Counts::default()));
        }
        row
    }

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two() {
        let row = row(&[(Contender::Axum, &[9.0, 1.0, 2.0]), (Contender::Floor, &[4.0, 1.0, 3.0, 100.0])]);
        assert_eq!(row.spread(Contender::Axum), Some(Spread { median: 2.0, least: 1.0, most: 9.0 }));
        assert_eq!(row.spread(Contender::Floor), Some(Spread { median: 3.5, least: 1.0, most: 100.0 }));
        assert_eq!(row.spread(Contender::Tidings), None);
    }

    #[test]
    fn ratios_are_of_medians_and_only_where_both_are() {
        let row = row(&[(Contender::Axum, &[4.0]), (Contender::Tidings, &[1.0, 3.0, 2.0])]);
        assert_eq!(row.ratio(Contender::Axum), Some(0.5));
        assert_eq!(row.ratio(Contender::Floor), None);
    }

    #[test]
    fn what_is_wrong_in_one_run_is_wrong_in_the_row() {
        let mut row = row(&[(Contender::Axum, &[4.0])]);
        row.add(Contender::Axum, 4.0, Counts { lost: 2, ..Counts::default() });
        row.add(Contender::Floor, 4.0, Counts { lost: 1, duplicated: 1, ..Counts::default() });
        assert_eq!(row.counts, Counts { lost: 3, duplicated: 1, ..Counts::default() });
    }

    #[test]
    fn figures_have_the_digits_that_mean_something() {
        assert_eq!([0.1324, 2.714, 20.04].map(|figure| Unit::Micros.write(figure)), ["0.132", "2.71", "20.0"]);
        assert_eq!(Unit::Bytes.write(137_699.6), "137,700");
    }
}
