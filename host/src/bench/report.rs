//! What a bench found: rows and what was left out, as the JSON of `lockstep-bench/1` and as a table.

use super::{Machine, Summary};
use serde_json::{Value, json};
use std::fmt::{self, Write};

/// What the times of every row hold: from the host's memory to the host's memory, over a bus and back where there is one.
const TRANSFERS: &str = "in|out";

/// Why no row states a share of the device's limit.
const NO_LIMIT: &str = "wgpu does not tell a device's rate of operations or of bytes, and nothing here measures it yet";

/// An engine on a workload at a size. Times are seconds a call, of all `n` items.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `recover`, `keccak`, …
    pub bench: &'static str,
    /// The workload's fixed name.
    pub workload: String,
    /// The engine's fixed name.
    pub engine: &'static str,
    /// Items a call.
    pub n: usize,
    /// CPU threads that the engine used.
    pub threads: usize,
    /// The adapter that it ran on.
    pub device: Option<String>,
    /// The middle of the samples.
    pub seconds_median: f64,
    /// The fastest sample.
    pub seconds_min: f64,
    /// The slowest sample.
    pub seconds_max: f64,
    /// Half of the calls took no longer; none where calls are not kept.
    pub p50: Option<f64>,
    /// 99 of 100 calls took no longer.
    pub p99: Option<f64>,
    /// The calls that p50 and p99 are of.
    pub calls: Option<usize>,
    /// The samples that the median is of.
    pub samples: usize,
    /// Items a second, at the median.
    pub per_second: f64,
    /// The engine that `ratio` compares with.
    pub baseline: &'static str,
    /// This rate over the baseline's; none where the baseline has no row.
    pub ratio: Option<f64>,
    /// Gas of a call.
    pub gas: Option<u64>,
    /// Of what a device was asked to run, the share that it declined and the CPU ran.
    pub fallback_share: Option<f64>,
    /// Of a device, the least size of the run from which on it is faster than the CPU; none where it is not.
    pub cross_over_n: Option<usize>,
}

/// A row that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// As in [`Row`].
    pub bench: &'static str,
    /// As in [`Row`]; none for all.
    pub workload: Option<String>,
    /// As in [`Row`]; none for all.
    pub engine: Option<&'static str>,
    /// As in [`Row`]; none for all.
    pub n: Option<usize>,
    /// As in [`Row`]; none for all.
    pub threads: Option<usize>,
    /// Why.
    pub reason: String,
    /// It ran and failed, which is no reason to be left out quietly.
    pub failed: bool,
}

/// Columns of the table. The first is left out where there is one bench, the last two, which tell of devices alone, where they
/// would be empty.
const COLUMNS: usize = 12;
const ALWAYS: std::ops::Range<usize> = 1..10;

/// All of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Workload by workload, size by size.
    pub rows: Vec<Row>,
    /// What has no row, and why.
    pub left_out: Vec<LeftOut>,
    /// What groups of rows say together.
    pub summaries: Vec<Summary>,
}

impl LeftOut {
    /// An engine that is not on this machine.
    pub(super) const fn engine(bench: &'static str, engine: &'static str, reason: String) -> Self {
        Self { bench, workload: None, engine: Some(engine), n: None, threads: None, reason, failed: false }
    }

    /// A size that a workload does not have.
    pub(super) fn size(bench: &'static str, workload: &str, n: usize, reason: String) -> Self {
        let workload = Some(workload.to_owned());
        Self { bench, workload, engine: None, n: Some(n), threads: None, reason, failed: false }
    }

    fn json(&self) -> Value {
        json!({
            "bench": self.bench, "workload": self.workload, "engine": self.engine, "n": self.n, "threads": self.threads,
            "reason": self.reason, "failed": self.failed,
        })
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.bench)?;
        if let Some(workload) = &self.workload {
            write!(f, " {workload}")?;
        }
        if let Some(n) = self.n {
            write!(f, ", n = {n}")?;
        }
        if let Some(engine) = self.engine {
            write!(f, ", {engine}")?;
        }
        match self.threads {
            Some(threads) if threads > 1 => write!(f, " on {threads} threads")?,
            _ => {}
        }
        write!(f, ": {}", self.reason)
    }
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "bench": self.bench, "workload": self.workload, "engine": self.engine, "n": self.n, "threads": self.threads,
            "device": self.device, "seconds_median": self.seconds_median, "seconds_min": self.seconds_min,
            "seconds_max": self.seconds_max, "p50": self.p50, "p99": self.p99, "calls": self.calls, "samples": self.samples,
            "per_second": self.per_second, "baseline": self.baseline, "ratio": self.ratio, "limit_share": null,
            "limit_share_reason": self.device.as_ref().map(|_| NO_LIMIT), "transfers": TRANSFERS,
            // A wrong result leaves no report at all.
            "checked": true, "gas": self.gas, "fallback_share": self.fallback_share,
            "cross_over_n": self.cross_over_n,
        })
    }

    /// One to change what a test is about.
    #[cfg(test)]
    pub(super) fn test() -> Self {
        Self {
            bench: "test",
            workload: "clean".into(),
            engine: "plain",
            n: 2000,
            threads: 1,
            device: None,
            seconds_median: 0.05,
            seconds_min: 0.04,
            seconds_max: 0.06,
            p50: None,
            p99: None,
            calls: None,
            samples: 5,
            per_second: 40_000.0,
            baseline: "plain",
            ratio: Some(1.0),
            gas: None,
            fallback_share: None,
            cross_over_n: None,
        }
    }

    fn cells(&self) -> [String; COLUMNS] {
        [
            self.bench.to_owned(),
            self.workload.clone(),
            self.n.to_string(),
            self.engine.to_owned(),
            self.threads.to_string(),
            time(self.seconds_median),
            self.p50.map_or_else(String::new, time),
            self.p99.map_or_else(String::new, time),
            rate(self.per_second),
            self.ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}")),
            self.fallback_share.map_or_else(String::new, |share| format!("{:.1} %", 100.0 * share)),
            self.cross_over_n.map_or_else(String::new, |n| format!("n = {n}")),
        ]
    }
}

impl Report {
    /// The object of `lockstep bench --json`.
    pub fn json(&self, machine: &Machine, rounds: usize) -> Value {
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        let left_out: Vec<_> = self.left_out.iter().map(LeftOut::json).collect();
        let summaries: Vec<_> = self.summaries.iter().map(Summary::json).collect();
        json!({
            "schema": "lockstep-bench/1", "machine": machine.json(), "commit": option_env!("LOCKSTEP_COMMIT"),
            "rounds": rounds, "rows": rows, "left_out": left_out, "summaries": summaries,
        })
    }

    /// The adapter of the first row that has one.
    pub fn device(&self) -> Option<&str> {
        self.rows.iter().find_map(|row| row.device.as_deref())
    }

    /// Aligned columns, and below them the summaries and what was left out.
    pub fn table(&self) -> String {
        let baseline = self.rows.first().map_or("baseline", |row| row.baseline);
        let ratio = format!("× {baseline}");
        let head = [
            "bench",
            "workload",
            "n",
            "engine",
            "threads",
            "a call",
            "p50",
            "p99",
            "items/s",
            &ratio,
            "fell back",
            "faster from",
        ];
        let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(self.rows.iter().map(Row::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        let shown = |column: usize| match column {
            0 => rows[1..].iter().any(|row| row[0] != rows[1][0]),
            _ => ALWAYS.contains(&column) || rows[1..].iter().any(|row| !row[column].is_empty()),
        };
        let mut text = String::new();
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate().filter(|(column, _)| shown(*column)) {
                // Names to the left, numbers to the right. Writing to a String cannot fail.
                let _ = match column {
                    0 | 1 | 3 => write!(line, "{cell:<width$}  "),
                    _ => write!(line, "{cell:>width$}  "),
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
        for summary in &self.summaries {
            let _ = writeln!(text, "{summary}");
        }
        for left_out in &self.left_out {
            let _ = writeln!(text, "left out: {left_out}");
        }
        text
    }
}

/// Three digits and a unit.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{} µs", digits(s * 1e6)),
        s if s < 1.0 => format!("{} ms", digits(s * 1e3)),
        s => format!("{} s", digits(s)),
    }
}

fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 1e6 => format!("{} M", digits(r / 1e6)),
        r if r >= 1e3 => format!("{} K", digits(r / 1e3)),
        r => digits(r),
    }
}

fn digits(value: f64) -> String {
    let places = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_units() {
        assert_eq!(
            [231e-9, 24.13e-6, 0.0482, 1.234, 120.0].map(time),
            ["231 ns", "24.1 µs", "48.2 ms", "1.23 s", "120 s"]
        );
        assert_eq!([12.0, 41_300.0, 4.3e6].map(rate), ["12.0", "41.3 K", "4.30 M"]);
    }

    #[test]
    fn columns_are_aligned_and_what_is_left_out_is_told() {
        let row = Row::test();
        let long = Row { engine: "a-longer-name", workload: "w".into(), ..row.clone() };
        let left_out = vec![LeftOut::engine("test", "gpu", "none here".into())];
        let report = Report { rows: vec![row.clone(), long], left_out, ..Report::default() };
        let lines: Vec<_> = report.table().lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "workload     n  engine         threads   a call  p50  p99  items/s  × plain");
        assert_eq!(lines[1], "clean     2000  plain                1  50.0 ms             40.0 K     1.00");
        assert_eq!(lines[2], "w         2000  a-longer-name        1  50.0 ms             40.0 K     1.00");
        assert_eq!(lines[3], "left out: test, gpu: none here");
        let other = Row { bench: "test-2", ..row.clone() };
        let table = Report { rows: vec![row.clone(), other], ..Report::default() }.table();
        assert!(table.lines().nth(2).is_some_and(|row| row.starts_with("test-2  clean     2000  plain")), "{table}");
        let declined = Row { fallback_share: Some(0.125), ..row };
        let table = Report { rows: vec![declined], ..Report::default() }.table();
        assert!(table.lines().next().is_some_and(|head| head.ends_with("× plain  fell back")), "{table}");
        assert!(table.lines().nth(1).is_some_and(|row| row.ends_with("    1.00     12.5 %")), "{table}");
    }
}
