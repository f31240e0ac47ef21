//! `lockstep-sweep`: every workload over batch sizes, the backends round by round in turn, each result checked; JSON on stdout, a Markdown
//! table where `--markdown FILE` says. The CPU on all cores is the baseline of every row.

use lockstep::block_file::BlockFile;
use lockstep_bench::{
    subject::{self, Subject},
    timed, workload,
};
use serde_json::{Value, json};
use std::{
    env, fmt::Write as _, fs,
    process::ExitCode,
    time::{Duration, Instant},
};

/// A sample repeats a short run until it has lasted as long.
const SAMPLE: Duration = Duration::from_millis(20);
const USAGE: &str = "usage: lockstep-sweep [--sizes N,..] [--rounds N] [--seconds LIMIT OF ONE RUN] [--markdown FILE]";
/// Why no row states a share of the device's limit.
const NO_LIMIT: &str = "wgpu does not tell a device's rate of multiplications or of bytes, and no kernel measures it yet";

struct Options {
    sizes: Vec<usize>,
    rounds: usize,
    limit: Duration,
    markdown: Option<String>,
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { sizes: vec![1, 200, 2000, 16_000, 64_000, 1_000_000], rounds: 5, limit: Duration::from_secs(20), markdown: None };
    let mut arguments = env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag}: no value"))?;
        let bad = |error: std::num::ParseIntError| format!("{flag} {value}: {error}");
        match flag.as_str() {
            "--sizes" => options.sizes = value.split(',').map(|size| size.trim().parse().map_err(bad)).collect::<Result<_, _>>()?,
            "--rounds" => options.rounds = value.parse::<usize>().map_err(bad)?.max(1),
            "--seconds" => options.limit = Duration::from_secs(value.parse().map_err(bad)?),
            "--markdown" => options.markdown = Some(value),
            _ => return Err(format!("{flag}: unknown")),
        }
    }
    options.sizes.sort_unstable();
    Ok(options)
}

/// What all rows of one workload share.
struct Work<'a> {
    bench: &'static str,
    workload: String,
    n: usize,
    gas: Option<u64>,
    /// Runs and checks once; gives the time without the check.
    run: &'a dyn Fn(&Subject) -> Result<Duration, String>,
}

struct Sweep {
    options: Options,
    subjects: Vec<Subject>,
    rows: Vec<Value>,
    left_out: Vec<Value>,
    markdown: String,
}

impl Sweep {
    /// Measures one workload on every subject in turn. A subject whose first run lasts too long is left out, with the reason.
    fn measure(&mut self, work: &Work<'_>) {
        let mut running: Vec<(&Subject, u32, Vec<f64>)> = Vec::new();
        for subject in &self.subjects {
            // Not a sample: compiles what is compiled late, fills caches, and says how often a sample repeats.
            let warm = (work.run)(subject).and_then(|first| if first > self.options.limit { Ok(first) } else { (work.run)(subject) });
            let reason = match warm {
                Ok(time) if time <= self.options.limit => {
                    running.push((subject, (SAMPLE.as_secs_f64() / time.as_secs_f64().max(1e-9)).ceil().max(1.0) as u32, Vec::new()));
                    continue;
                }
                Ok(time) => format!("one run takes {:.0} s", time.as_secs_f64()),
                Err(error) => error,
            };
            self.left_out.push(json!({
                "bench": work.bench, "workload": work.workload, "engine": subject.name(), "n": work.n, "reason": reason,
            }));
        }
        for _ in 0..self.options.rounds {
            running.retain_mut(|(subject, repeats, samples)| {
                let total: Result<Duration, String> = (0..*repeats).map(|_| (work.run)(subject)).sum();
                match total {
                    Ok(total) => samples.push(total.as_secs_f64() / f64::from(*repeats)),
                    Err(reason) => self.left_out.push(json!({
                        "bench": work.bench, "workload": work.workload, "engine": subject.name(), "n": work.n, "reason": reason,
                    })),
                }
                samples.len() > 0 && samples.len() == samples.capacity().min(samples.len())
            });
        }
        let baseline = running.iter().find(|(subject, ..)| subject.name() == "cpu").map(|(.., samples)| median(samples));
        for (subject, _, samples) in &running {
            let row = row(work, subject, samples, baseline);
            let _ = writeln!(
                self.markdown,
                "| {} | {} | {} | {} | {} | {:.6} | {:.0} | {} |",
                work.bench, work.workload, work.n, subject.name(), subject.threads(), median(samples),
                work.n as f64 / median(samples),
                baseline.map_or("–".to_owned(), |baseline| format!("{:.2}", baseline / median(samples))),
            );
            self.rows.push(row);
        }
    }
}
