//! `lockstep-sweep`: every workload over batch sizes, the backends in turn round by round, each result checked; JSON on stdout, a Markdown
//! table where `--markdown FILE` says. The CPU on all cores is the baseline of every row.

use lockstep::block_file::BlockFile;
use lockstep_bench::{
    subject::{self, Subject},
    timed, workload,
};
use serde_json::{Value, json};
use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

/// A sample repeats a short run until it has lasted as long.
const SAMPLE: Duration = Duration::from_millis(20);
const USAGE: &str = "usage: lockstep-sweep [--sizes N,..] [--rounds N] [--seconds LIMIT OF ONE RUN] [--markdown FILE]";
/// Why no row states a share of the device's limit.
const NO_LIMIT: &str = "wgpu does not tell a device's rate of operations or of bytes, and nothing here measures it yet";

struct Options {
    sizes: Vec<usize>,
    rounds: usize,
    limit: Duration,
    markdown: Option<String>,
}

fn options() -> Result<Options, String> {
    let sizes = vec![1, 200, 2000, 16_000, 64_000, 1_000_000];
    let mut options = Options { sizes, rounds: 5, limit: Duration::from_secs(20), markdown: None };
    let mut arguments = env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag}: unknown, or no value"))?;
        let bad = |error: std::num::ParseIntError| format!("{flag} {value}: {error}");
        match flag.as_str() {
            "--sizes" => {
                options.sizes =
                    value.split(',').map(|size| size.trim().parse().map_err(bad)).collect::<Result<_, _>>()?;
            }
            "--rounds" => options.rounds = value.parse::<usize>().map_err(bad)?.max(1),
            "--seconds" => options.limit = Duration::from_secs(value.parse().map_err(bad)?),
            "--markdown" => options.markdown = Some(value),
            _ => return Err(format!("{flag}: unknown")),
        }
    }
    options.sizes.sort_unstable();
    Ok(options)
}

/// One workload at one size. `run` does it once and checks the result; its time is without the check.
struct Work<'a> {
    bench: &'static str,
    workload: String,
    n: usize,
    gas: Option<u64>,
    run: &'a dyn Fn(&Subject) -> Result<Duration, String>,
}

#[derive(Default)]
struct Results {
    rows: Vec<Value>,
    left_out: Vec<Value>,
    markdown: String,
}

/// How often a sample repeats the run; an error where one run is too long. The runs of this are no samples: they compile what is compiled
/// late and fill caches.
fn repeats(work: &Work<'_>, subject: &Subject, limit: Duration) -> Result<u32, String> {
    let too_long = |time: Duration| format!("one run takes {:.0} s", time.as_secs_f64());
    let first = (work.run)(subject)?;
    if first > limit {
        return Err(too_long(first));
    }
    let time = (work.run)(subject)?;
    Ok((SAMPLE.as_secs_f64() / time.as_secs_f64().max(1e-9)).ceil() as u32)
}

/// Seconds of one run, in a sample of many.
fn sample(work: &Work<'_>, subject: &Subject, repeats: u32) -> Result<f64, String> {
    let total: Duration = (0..repeats).map(|_| (work.run)(subject)).sum::<Result<_, _>>()?;
    Ok(total.as_secs_f64() / f64::from(repeats))
}

/// Measures every subject, in turn round by round, so that a machine that slows down slows all of them.
fn measure(results: &mut Results, subjects: &[Subject], options: &Options, work: &Work<'_>) {
    let mut runs: Vec<_> = subjects
        .iter()
        .map(|subject| (subject, repeats(work, subject, options.limit).map(|repeats| (repeats, Vec::new()))))
        .collect();
    for _ in 0..options.rounds {
        for (subject, state) in &mut runs {
            if let Ok((repeats, samples)) = state {
                match sample(work, subject, *repeats) {
                    Ok(seconds) => samples.push(seconds),
                    Err(reason) => *state = Err(reason),
                }
            }
        }
    }
    let baseline = runs
        .iter_mut()
        .find(|(subject, _)| subject.adapter().is_none())
        .and_then(|(_, state)| Some(median(&mut state.as_mut().ok()?.1)));
    for (subject, state) in runs {
        match state {
            Ok((_, mut samples)) => results.add(work, subject, &mut samples, baseline),
            Err(reason) => results.left_out.push(json!({
                "bench": work.bench, "workload": work.workload, "engine": subject.name(), "n": work.n, "reason": reason,
            })),
        }
    }
}

/// Of at least one value; sorts them.
fn median(samples: &mut [f64]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples[samples.len() / 2]
}

impl Results {
    fn add(&mut self, work: &Work<'_>, subject: &Subject, samples: &mut [f64], baseline: Option<f64>) {
        let seconds = median(samples);
        let rate = work.n as f64 / seconds;
        let ratio = baseline.map(|baseline| baseline / seconds);
        self.rows.push(json!({
            "bench": work.bench, "workload": work.workload, "engine": subject.name(), "device": subject.adapter(), "n": work.n,
            "threads": subject.threads(), "seconds_median": seconds, "seconds_min": samples[0], "seconds_max": samples[samples.len() - 1],
            "per_second": rate, "baseline": "cpu", "ratio": ratio, "cpu_per_second": baseline.map(|baseline| work.n as f64 / baseline),
            "limit_share": null, "limit_share_reason": NO_LIMIT, "transfers": "in|out", "checked": true, "gas": work.gas,
        }));
        let ratio = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = writeln!(
            self.markdown,
            "| {} | {} | {} | {} | {} | {:.3} | {rate:.0} | {ratio} |",
            work.bench,
            work.workload,
            work.n,
            subject.name(),
            subject.threads(),
            seconds * 1e3,
        );
    }
}

fn sweep(subjects: &[Subject], options: &Options) -> Result<Results, String> {
    let mut results = Results::default();
    for &n in &options.sizes {
        let (requests, signers) = workload::signatures(n);
        let expected: Vec<_> = signers.into_iter().map(Ok).collect();
        let run =
            |subject: &Subject| timed(|| subject.recover(&requests), |actual| workload::check_equal(&expected, actual));
        measure(
            &mut results,
            subjects,
            options,
            &Work { bench: "recover", workload: "clean".into(), n, gas: None, run: &run },
        );
    }
    for length in [32, 136, 532] {
        for &n in &options.sizes {
            let (messages, expected) = workload::messages(n, length);
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let run = |subject: &Subject| {
                timed(|| subject.keccak256(&messages), |actual| workload::check_equal(&expected, actual))
            };
            measure(
                &mut results,
                subjects,
                options,
                &Work { bench: "keccak", workload: format!("{length}B"), n, gas: None, run: &run },
            );
        }
    }
    for path in workload::block_files() {
        let file = BlockFile::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let run = |subject: &Subject| timed(|| subject.execute(&file), |output| workload::check_block(&file, output));
        let (number, n) = (file.block.env.number.to_string(), file.block.transactions.len());
        let work = Work { bench: "blocks-e2e", workload: number, n, gas: Some(file.expected.gas_used), run: &run };
        measure(&mut results, subjects, options, &work);
    }
    Ok(results)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => return fail(&format!("{error}\n{USAGE}")),
    };
    let subjects = subject::all();
    let results = match sweep(&subjects, &options) {
        Ok(results) => results,
        Err(error) => return fail(&error),
    };
    if let Some(path) = &options.markdown {
        let head = "| bench | workload | n | engine | threads | ms | per second | × CPU |\n|---|---|---|---|---|---|---|---|\n";
        if let Err(error) = fs::write(path, format!("{head}{}", results.markdown)) {
            return fail(&format!("{path}: {error}"));
        }
    }
    let json = json!({"schema": "lockstep-sweep/1", "rounds": options.rounds, "rows": results.rows, "left_out": results.left_out});
    match writeln!(io::stdout(), "{json}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(message: &str) -> ExitCode {
    // Nothing can be done if even that fails.
    let _ = writeln!(io::stderr(), "lockstep-sweep: {message}");
    ExitCode::from(2)
}
