//! What the rows of a group say together: one line an engine and its threads.

use super::Row;
use serde_json::{Value, json};
use std::fmt;

/// An engine over all workloads of a group, each once.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// As in [`Row`].
    pub bench: &'static str,
    /// Which workloads.
    pub group: String,
    /// As in [`Row`].
    pub engine: &'static str,
    /// As in [`Row`].
    pub threads: usize,
    /// As in [`Row`].
    pub device: Option<String>,
    /// Rows that it is of.
    pub rows: usize,
    /// The baseline's time for all of them over this engine's.
    pub ratio_in_sum: f64,
    /// Of the ratios.
    pub geometric_mean: f64,
    /// The least ratio.
    pub worst: f64,
    /// What it is of.
    pub worst_workload: String,
    /// And how many items that has.
    pub worst_n: usize,
}

impl Summary {
    /// One for each engine but the baseline, in the order of the rows. A row without a ratio does not count.
    pub(super) fn of(group: &str, rows: &[&Row]) -> Vec<Self> {
        let mut engines: Vec<(&'static str, usize)> = Vec::new();
        for row in rows.iter().filter(|row| row.engine != row.baseline) {
            if !engines.contains(&(row.engine, row.threads)) {
                engines.push((row.engine, row.threads));
            }
        }
        let of_engine = |(engine, threads)| {
            let own = rows.iter().filter(|row| (row.engine, row.threads) == (engine, threads));
            let ratios: Vec<_> = own.filter_map(|row| Some((*row, row.ratio?))).collect();
            let (worst, least) = ratios.iter().min_by(|(_, one), (_, other)| one.total_cmp(other))?;
            let own_time: f64 = ratios.iter().map(|(row, _)| row.seconds_median).sum();
            let base_time: f64 = ratios.iter().map(|(row, ratio)| row.seconds_median * ratio).sum();
            let logarithms: f64 = ratios.iter().map(|(_, ratio)| ratio.ln()).sum();
            Some(Self {
                bench: worst.bench,
                group: group.to_owned(),
                engine,
                threads,
                device: worst.device.clone(),
                rows: ratios.len(),
                ratio_in_sum: base_time / own_time,
                geometric_mean: (logarithms / ratios.len() as f64).exp(),
                worst: *least,
                worst_workload: worst.workload.clone(),
                worst_n: worst.n,
            })
        };
        engines.into_iter().filter_map(of_engine).collect()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "bench": self.bench, "group": self.group, "engine": self.engine, "threads": self.threads, "device": self.device,
            "rows": self.rows, "ratio_in_sum": self.ratio_in_sum, "geometric_mean": self.geometric_mean,
            "worst": self.worst, "worst_workload": self.worst_workload, "worst_n": self.worst_n,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bench, group, engine, threads, rows, ratio_in_sum, geometric_mean, worst, .. } = self;
        let threads = if *threads > 1 { format!(" on {threads} threads") } else { String::new() };
        write!(
            f,
            "{bench}, {group}: {engine}{threads}: {ratio_in_sum:.2} in sum, {geometric_mean:.2} geometric mean, \
             worst {worst:.2} ({}, n = {}), {rows} rows",
            self.worst_workload, self.worst_n
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_summed_averaged_and_the_least_is_named() {
        let row = |workload: &str, engine, seconds_median, ratio| Row {
            workload: workload.into(),
            engine,
            seconds_median,
            ratio,
            ..Row::test()
        };
        let rows = [
            row("a", "plain", 4.0, Some(1.0)),
            row("a", "fast", 1.0, Some(4.0)),
            row("b", "plain", 1.0, Some(1.0)),
            row("b", "fast", 1.0, Some(1.0)),
            row("c", "fast", 9.0, None),
        ];
        let summaries = Summary::of("some", &rows.iter().collect::<Vec<_>>());
        let [summary] = &summaries[..] else { panic!("{summaries:?}") };
        assert_eq!(
            summary.to_string(),
            "test, some: fast: 2.50 in sum, 2.00 geometric mean, worst 1.00 (b, n = 2000), 2 rows"
        );
        assert_eq!(Summary::of("none", &[]), []);
    }
}
