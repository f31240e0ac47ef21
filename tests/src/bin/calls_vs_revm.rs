//! Random calls, and sequences of four of them, in simulations against revm run call by call, until so many are equal or one
//! differs.

use lockstep::{
    backend::BackendKind,
    context::Context,
    engine::Engine,
    error::TxError,
    evm::reference_call,
    outcome::TxOutcome,
    report::ExecutionReport,
    simulate::{Answer, Options, Sequence, Wants},
};
use lockstep_tests::{
    fuzz::scene::{FORKS, batch},
    programs::Calls,
    simulated::{EVERYTHING, as_calls, as_sequences, is_same, reference_sequence},
};
use std::{
    error::Error,
    io::{self, Write},
    ops::ControlFlow,
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Instant,
};

const USAGE: &str = "usage: calls_vs_revm [--seed N] [--calls N] [--sequences N] [--backend wgpu|cpu] [--device NAME]";

type Expected = Vec<Vec<Result<TxOutcome, TxError>>>;

/// Sequences of one batch, those of one call standing for calls, and what revm makes of them.
fn judge(batch: Calls, sequences: bool) -> (Calls, Vec<Sequence>, Expected) {
    let calls = as_calls(&batch);
    let of_one = || calls.iter().map(|call| Sequence { calls: vec![call.clone()] }).collect();
    let asked: Vec<Sequence> = if sequences { as_sequences(&calls) } else { of_one() };
    let expected = asked
        .iter()
        .map(|sequence| match &sequence.calls[..] {
            [call] => vec![reference_call(&batch.env, &batch.state, call)],
            _ => reference_sequence(&batch.env, &batch.state, sequence, false),
        })
        .collect();
    (batch, asked, expected)
}

/// On the CPU whoever wants no changes gets answers from a journal that is kept from call to call, the others from a new one.
fn wanted(number: u64) -> Wants {
    Wants { state_diff: number.is_multiple_of(2), ..EVERYTHING }
}

fn answers(
    engine: &Engine,
    batch: &Calls,
    asked: &[Sequence],
    sequences: bool,
    wants: Wants,
) -> (Vec<Vec<Answer>>, ExecutionReport) {
    let base = Context { env: &batch.env, state: &batch.state };
    let options = Options { wants, ..Options::default() };
    let mut all = Vec::new();
    let summary = if sequences {
        engine.simulate_sequences(&base, asked.to_vec(), &options, |_, answers| {
            all.push(answers);
            ControlFlow::Continue(())
        })
    } else {
        let calls = asked.iter().flat_map(|sequence| sequence.calls.clone());
        engine.simulate(&base, calls, &options, |_, answer| {
            all.push(vec![answer]);
            ControlFlow::Continue(())
        })
    };
    (all, summary.report)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (mut seed, mut calls, mut sequences) = (1_u64, 10_000_u64, 0_u64);
    let (mut backend, mut device) = (BackendKind::Wgpu, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--seed" => seed = value.parse()?,
            "--calls" => calls = value.parse()?,
            "--sequences" => sequences = value.parse()?,
            "--backend" => backend = value.parse()?,
            "--device" => device = Some(value),
            _ => return Err(format!("unknown {name}\n{USAGE}").into()),
        }
    }
    let engine = Engine::builder().backend(backend).device(device).build()?;
    let mut out = io::stdout();
    writeln!(out, "seed {seed}, on {}", engine.backend_name())?;
    for (in_sequences, count) in [(false, calls), (true, sequences)] {
        let start = Instant::now();
        // One thread writes programs and runs revm while another feeds the device.
        let (sender, receiver) = mpsc::sync_channel(2);
        thread::spawn(move || {
            for number in 0.. {
                if sender.send((number, judge(batch(seed, number, &FORKS), in_sequences))).is_err() {
                    break;
                }
            }
        });
        let (mut done, mut report) = (0, ExecutionReport::default());
        while done < count {
            let (number, (batch, asked, expected)) = receiver.recv()?;
            let wants = wanted(number);
            let (all, added) = answers(&engine, &batch, &asked, in_sequences, wants);
            report.add(added);
            for (index, (answers, expected)) in all.iter().zip(&expected).enumerate() {
                let same = |(answer, expected)| is_same(answer, expected, wants);
                if answers.len() != expected.len() || !answers.iter().zip(expected).all(same) {
                    writeln!(out, "batch {number}, {index}: {answers:#?}\nrevm:\n{expected:#?}\n{:#?}", asked[index])?;
                    return Ok(ExitCode::FAILURE);
                }
            }
            if all.len() != expected.len() {
                writeln!(out, "batch {number}: {} answers for {}", all.len(), expected.len())?;
                return Ok(ExitCode::FAILURE);
            }
            done += all.len() as u64;
        }
        let share = report.device.txs as f64 * 100.0 / report.total().txs.max(1) as f64;
        let what = if in_sequences { "sequences of four" } else { "calls" };
        writeln!(
            out,
            "{done} {what} equal in {:.0} s, {share:.1} % from the device, fallbacks: {:?}",
            start.elapsed().as_secs_f64(),
            report.fallbacks
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
