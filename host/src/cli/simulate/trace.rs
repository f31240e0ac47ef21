//! `--trace`: one call on revm, step by step.

use super::{Args, Batched, Exit, Failure, Lines, complain};
use lockstep::{
    context::Context,
    engine::Engine,
    error::TxError,
    simulate::{Answer, Call, Options, Sequence},
};
use std::{io, ops::ControlFlow, str::FromStr};

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// Of the line.
    pub(super) index: usize,
    /// In the sequence; the last if there is none.
    pub(super) call: Option<usize>,
}

impl FromStr for At {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (index, call) = text.split_once(':').map_or((text, None), |(index, call)| (index, Some(call)));
        Ok(Self { index: index.parse()?, call: call.map(str::parse).transpose()? })
    }
}

pub(super) fn run(
    engine: &Engine,
    base: &Context<'_>,
    args: &Args,
    lines: Lines,
    at: At,
    name: &str,
) -> Result<Exit, Failure> {
    let calls = match lines {
        Lines::Calls(lines) => line(lines, at.index)
            .and_then(|call| Ok(vec![call.map_err(|error| format!("index {}: {error}", at.index))?])),
        Lines::Sequences(lines) => line(lines, at.index).and_then(|sequence| {
            let sequence = sequence.map_err(|bad| {
                let call = bad.call.map_or(String::new(), |call| format!("call {call}: "));
                format!("index {}: {call}{}", at.index, bad.error)
            })?;
            prefix(engine, base, args, sequence, at).map_err(|reason| format!("index {}: {reason}", at.index))
        }),
    };
    let traced = match calls {
        Ok(calls) => engine
            .trace(base, &calls, Box::new(io::stdout()))?
            .map_err(|error: TxError| format!("index {}: {error}", at.index)),
        Err(reason) => Err(reason),
    };
    match traced {
        Ok(_) => Ok(Exit::Ok),
        Err(reason) => {
            complain(format_args!("{name}: {reason}"));
            Ok(Exit::Bad)
        }
    }
}

/// The line with an index; no more is read.
fn line<T>(lines: Batched<T>, index: usize) -> Result<T, String> {
    let mut before = 0;
    for batch in lines {
        let (items, _) = batch?;
        let count = items.len();
        if let Some(item) = items.into_iter().nth(index - before) {
            return Ok(item);
        }
        before += count;
    }
    Err(format!("no index {index}: there are {before} lines"))
}

/// The calls of a sequence that are run up to the one that is asked for.
fn prefix(
    engine: &Engine,
    base: &Context<'_>,
    args: &Args,
    mut sequence: Sequence,
    at: At,
) -> Result<Vec<Call>, String> {
    let count = sequence.calls.len();
    if let Some(call) = at.call {
        if call >= count {
            return Err(format!("no call {call}: there are {count}"));
        }
        sequence.calls.truncate(call + 1);
    }
    let options = Options { stop_on_revert: args.stop_on_revert, ..Options::default() };
    let mut answers: Vec<Answer> = Vec::new();
    engine.simulate_sequences(base, [sequence.clone()], &options, |_, all| {
        answers = all;
        ControlFlow::Continue(())
    });
    if answers.len() < sequence.calls.len() && at.call.is_some() {
        return Err(format!("the sequence ends with call {}, which does not succeed", answers.len() - 1));
    }
    sequence.calls.truncate(answers.len());
    match answers.iter().enumerate().find_map(|(call, answer)| Some((call, answer.as_ref().err()?))) {
        Some((call, error)) => Err(format!("call {call}: {error}")),
        None => Ok(sequence.calls),
    }
}
