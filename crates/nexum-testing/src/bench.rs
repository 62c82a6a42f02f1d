//! The common parts of the benches: results with their baselines, their files, and modules that are
//! loaded as the binary loads them.

mod guest;
mod host;
mod running;

use std::fs;

use serde::Serialize;

pub use self::guest::Guest;
pub use self::host::{HandGrown, block, blocks, copies, engine, event, load};
pub use self::running::Host;
use crate::guests::root;

/// One result of a bench. `cargo xtask bench` reads it from the bench's file.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    name: String,
    median: f64,
    unit: &'static str,
    baseline: f64,
    ratio: f64,
    goal: Option<f64>,
    met: bool,
}

impl Figure {
    /// A result and its baseline from one run. Both are medians in `unit`.
    pub fn new(name: impl Into<String>, unit: &'static str, median: f64, baseline: f64) -> Self {
        Self {
            name: name.into(),
            median,
            unit,
            baseline,
            ratio: median / baseline,
            goal: None,
            met: true,
        }
    }

    /// Sets the aim: the result is at most `goal`, in its unit.
    #[must_use]
    pub fn at_most(mut self, goal: f64) -> Self {
        self.goal = Some(goal);
        self.met = self.median <= goal;
        self
    }

    /// Sets the aim: the result is at most the baseline plus `allowed`, in its unit.
    #[must_use]
    pub fn at_most_over_baseline(self, allowed: f64) -> Self {
        let goal = self.baseline + allowed;
        self.at_most(goal)
    }

    /// Sets the aim: the result is at most `times` times the baseline.
    #[must_use]
    pub fn at_most_times_baseline(self, times: f64) -> Self {
        let goal = self.baseline * times;
        self.at_most(goal)
    }

    /// Sets the aim for a result where more is better: at least `goal`, in its unit.
    #[must_use]
    pub fn at_least(mut self, goal: f64) -> Self {
        self.goal = Some(goal);
        self.met = self.median >= goal;
        self
    }

    /// Sets the aim for a result where more is better: at least the baseline.
    #[must_use]
    pub fn at_least_baseline(self) -> Self {
        self.at_least_times_baseline(1.0)
    }

    /// Sets the aim for a result where more is better: at least `times` times the baseline.
    #[must_use]
    pub fn at_least_times_baseline(self, times: f64) -> Self {
        let goal = self.baseline * times;
        self.at_least(goal)
    }
}

/// The median of samples in any order.
///
/// # Panics
///
/// If there are no samples.
pub fn median(mut samples: Vec<f64>) -> f64 {
    assert!(!samples.is_empty(), "a median needs samples");
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    if samples.len() % 2 == 1 {
        samples[middle]
    } else {
        (samples[middle - 1] + samples[middle]) / 2.0
    }
}

/// Takes `samples` pairs after `warm_up` that do not count. Returns the median of each side of the pairs.
///
/// # Errors
///
/// The first error of `pair`.
///
/// # Panics
///
/// If there are no samples.
pub fn medians<E>(
    warm_up: usize,
    samples: usize,
    mut pair: impl FnMut() -> Result<(f64, f64), E>,
) -> Result<(f64, f64), E> {
    for _ in 0..warm_up {
        pair()?;
    }
    let pairs: Vec<_> = (0..samples).map(|_| pair()).collect::<Result<_, E>>()?;
    let (one, other) = pairs.into_iter().unzip();
    Ok((median(one), median(other)))
}

/// Prints the results of a bench as a table, and writes them to `target/bench/NAME.json`, where
/// `cargo xtask bench` reads them.
///
/// # Panics
///
/// If the file cannot be written.
#[allow(clippy::print_stdout, reason = "a bench prints its table")]
pub fn publish(bench: &str, figures: &[Figure]) {
    println!("{}", table(figures));
    let directory = root().join("target/bench");
    let path = directory.join(format!("{bench}.json"));
    let json = serde_json::to_string_pretty(figures).expect("figures are JSON");
    fs::create_dir_all(&directory)
        .and_then(|()| fs::write(&path, json + "\n"))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The results in columns, with names on the left and numbers on the right.
fn table(figures: &[Figure]) -> String {
    let header = ["", "median", "baseline", "ratio", "goal", "unit", "met"].map(str::to_owned);
    let rows = figures.iter().map(|figure| {
        [
            figure.name.clone(),
            number(figure.median),
            number(figure.baseline),
            number(figure.ratio),
            figure.goal.map_or_else(|| "-".to_owned(), number),
            figure.unit.to_owned(),
            if figure.met { "yes" } else { "NO" }.to_owned(),
        ]
    });
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |row: &[String; 7]| {
        let cells = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A number with three significant digits, or with all digits before the decimal point.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_goal_over_the_baseline_moves_with_it() {
        let figure = |median| Figure::new("call", "us", median, 0.5).at_most_over_baseline(1.5);
        assert_eq!((figure(2.0).met, figure(2.1).met), (true, false));
        let figure = |median| Figure::new("call", "us", median, 2.0).at_most_times_baseline(1.5);
        assert_eq!((figure(3.0).met, figure(3.1).met), (true, false));
    }

    #[test]
    fn of_some_figures_more_is_better() {
        let figure = |median| Figure::new("calls", "calls/s", median, 100.0).at_least_baseline();
        assert_eq!((figure(100.0).met, figure(99.0).met), (true, false));
        let figure = |median| Figure::new("calls", "calls/s", median, 100.0).at_least_times_baseline(0.7);
        assert_eq!((figure(70.0).met, figure(69.0).met), (true, false));
    }

    #[test]
    fn lines_the_columns_up() {
        let figures = [
            Figure::new("a call", "us", 1.25, 0.5).at_most(2.0),
            Figure::new("b", "maps", 60_000.0, 30_000.0),
        ];
        let expected = "        median  baseline  ratio  goal  unit  met\n\
                        a call    1.25     0.500   2.50  2.00    us  yes\n\
                        b        60000     30000   2.00     -  maps  yes";
        assert_eq!(table(&figures), expected);
    }
}
