//! Calls and sequences on a device: calls as the transactions that lanes take, sequences call by call, all of them at once.

use super::{
    Answer, Call, Sequence, Warm, access_list,
    cpu::{self, Cpu, succeeded},
    place::Place,
    run::{Chunk, Simulator},
};
use crate::{
    context::{Context, Contexts, PlacedTx},
    error::TxError,
    evm::Called,
    independent::{Run, Work},
    lanes::Runner,
    outcome::TxStatus,
    plan::Lane,
    report::ExecutionReport,
    state::{StateError, StateKey},
    tx::Transaction,
    validate::Speculation,
};
use rayon::ThreadPool;

/// Calls that are sound, each with the place that it runs at.
struct Calls<'s, 'a> {
    simulator: &'s Simulator<'a>,
    calls: Vec<(&'s Call, usize)>,
    places: &'s [Result<Place<'a>, TxError>],
    contexts: &'s Contexts<'s>,
    /// Whether the next call of a sequence will need the changes.
    changes: bool,
}

impl<'a> Work for Calls<'_, 'a> {
    type Output = Called;
    type Revm = Cpu<'a>;

    fn revm(&self) -> Cpu<'a> {
        self.simulator.cpu()
    }

    fn run(&self, cpu: &mut Cpu<'a>, index: usize) -> Result<Called, TxError> {
        let (call, at) = self.calls[index];
        let mut wants = self.simulator.options.wants;
        wants.state_diff |= self.changes;
        let called = match at {
            0 => cpu.called(call, wants),
            at => cpu.called_at(at, self.places[at].as_ref().map_err(Clone::clone)?, call, wants),
        };
        self.simulator.merge_edges(cpu);
        called
    }

    fn accept(
        &self,
        lane: &Lane<'_>,
        index: usize,
        status: TxStatus,
        result: &Speculation,
    ) -> Result<Option<Called>, StateError> {
        let wants = self.simulator.options.wants;
        let Context { env, state } = self.contexts.get(lane.context);
        let outcome = result.judge(lane, status, env, *state, self.changes || wants.state_diff)?;
        Ok(outcome.map(|outcome| {
            let list = |created| {
                let delegate = lane.code.as_ref().and_then(|code| code.delegate);
                let apart = [Some(lane.sender), lane.tx.to, created, delegate, Some(env.beneficiary)];
                let warm = if status == TxStatus::Success { warm(&result.warm) } else { Warm::new() };
                access_list(self.calls[index].0, warm, &apart, env.fork)
            };
            let access_list = wants.access_list.then(|| list(outcome.contract_address));
            Called { outcome, access_list, coverage: result.coverage.clone() }
        }))
    }

    fn gas_used(called: &Called) -> u64 {
        called.outcome.gas_used
    }

    fn is_cancelled(&self) -> bool {
        self.simulator.is_stopped()
    }
}

/// A call that is one, at a place that is one.
fn ask<'s>(chunk: &'s Chunk<'_, '_>, index: usize) -> Result<(&'s Call, usize), TxError> {
    let (call, at) = (chunk.calls[index].as_ref().map_err(Clone::clone)?, chunk.at[index]);
    chunk.places[at].as_ref().map_err(Clone::clone)?;
    Ok((call, at))
}

/// A call as the transaction that a lane takes, with the nonce that its sender has.
fn transaction(call: &Call, context: &Context<'_>) -> Result<Transaction, TxError> {
    let nonce = context.state.account(&call.from)?.map_or(0, |info| info.nonce);
    Ok(call.transaction(nonce, call.gas.unwrap_or(context.env.gas_limit), context.env.chain_id))
}

fn warm(keys: &[StateKey]) -> Warm {
    let mut warm = Warm::new();
    for key in keys {
        match key {
            StateKey::Account(address) => drop(warm.entry(*address).or_default()),
            StateKey::Slot(address, slot) => drop(warm.entry(*address).or_default().insert(*slot)),
            StateKey::BlockHash(_) => {}
        }
    }
    warm
}

/// Calls to run on a device, in the order of their indices; an error where there is nothing to run.
type Asked<'s> = Vec<Result<(&'s Call, usize), TxError>>;

impl<'a> Simulator<'a> {
    /// The answers to some of a chunk's calls, the host's part on the threads of `pool`, and whether each is the device's.
    pub(super) fn chunk_on_device(
        &self,
        chunk: &Chunk<'a, '_>,
        indices: &[usize],
        pool: &ThreadPool,
        runner: &mut Runner<'_>,
    ) -> Vec<(Answer, bool)> {
        let asked: Asked<'_> = indices.iter().map(|index| ask(chunk, *index)).collect();
        let wants = self.options.wants;
        let done = self.run(&asked, &chunk.places, pool, runner, false);
        self.options.progress.add(done.len());
        let answer =
            |(called, device): (Result<Called, _>, _)| (called.map(|called| cpu::result(called, wants)), device);
        done.into_iter().map(answer).collect()
    }

    /// The answers to sequences: the first call of each, then the second of each on what the first has left, and so on.
    pub(super) fn sequences_on_device(
        &self,
        sequences: &[Sequence],
        pool: &ThreadPool,
        runner: &mut Runner<'_>,
    ) -> Vec<Vec<Answer>> {
        let mut answers: Vec<Vec<Answer>> =
            sequences.iter().map(|sequence| Vec::with_capacity(sequence.calls.len())).collect();
        let mut places: Vec<Option<Place<'a>>> = sequences.iter().map(|_| Some(self.base.clone())).collect();
        for step in 0.. {
            let next: Vec<usize> = (0..sequences.len())
                .filter(|index| places[*index].is_some() && sequences[*index].calls.len() > step)
                .collect();
            if next.is_empty() || self.is_stopped() {
                break;
            }
            // The base is the first, as in every chunk.
            let mut at = vec![Ok(self.base.clone())];
            let mut asked: Asked<'_> = Vec::with_capacity(next.len());
            for index in &next {
                let call = &sequences[*index].calls[step];
                let place = places[*index].take().unwrap_or_else(|| self.base.clone());
                let entered = place.of(call);
                asked.push(entered.as_ref().map(|_| (call, at.len())).map_err(Clone::clone));
                // A call that cannot be made leaves everything as it is.
                at.push(Ok(entered.unwrap_or(place)));
            }
            let done = self.run(&asked, &at, pool, runner, true);
            for ((index, (called, _)), place) in next.into_iter().zip(done).zip(at.into_iter().skip(1)) {
                let Ok(mut place) = place else { continue };
                if let Ok(called) = &called {
                    place.state.own().commit(&called.outcome);
                }
                let answer = called.map(|called| cpu::result(called, self.options.wants));
                if succeeded(&answer) || !self.options.stop_on_revert {
                    places[index] = Some(place);
                }
                answers[index].push(answer);
            }
        }
        self.options.progress.add(answers.iter().map(Vec::len).sum());
        answers
    }

    /// Runs calls, each at its place; and whether the device did.
    fn run(
        &self,
        asked: &Asked<'_>,
        places: &[Result<Place<'a>, TxError>],
        pool: &ThreadPool,
        runner: &mut Runner<'_>,
        changes: bool,
    ) -> Vec<(Result<Called, TxError>, bool)> {
        // Of a place that is none nothing is asked.
        let places_or_base = places.iter().map(|place| place.as_ref().unwrap_or(&self.base));
        let contexts: Vec<Context<'_>> =
            places_or_base.map(|place| Context { env: &place.env, state: place.state.as_state() }).collect();
        let contexts = Contexts::new(&contexts).for_calls();
        let mut results: Vec<(Result<Called, TxError>, bool)> = Vec::with_capacity(asked.len());
        let mut calls = Vec::with_capacity(asked.len());
        let mut txs = Vec::with_capacity(asked.len());
        let mut indices = Vec::with_capacity(asked.len());
        for (index, asked) in asked.iter().enumerate() {
            results.push((Err(TxError::Evm(String::new())), false));
            match asked.clone().and_then(|(call, at)| Ok((call, at, transaction(call, contexts.get(at))?))) {
                Ok((call, at, tx)) => {
                    calls.push((call, at));
                    txs.push(tx);
                    indices.push(index);
                }
                Err(error) => results[index].0 = Err(error),
            }
        }
        let placed: Vec<PlacedTx<'_>> =
            txs.iter().zip(&calls).map(|(tx, (call, at))| PlacedTx { tx, sender: call.from, context: *at }).collect();
        let work = Calls { simulator: self, calls, places, contexts: &contexts, changes };
        let mut report = ExecutionReport::default();
        let mut run = Run::new(&work, &contexts, &placed, pool, &mut report);
        run.on_device(&(0..placed.len()).collect::<Vec<_>>(), runner);
        for (index, done) in indices.iter().zip(run.finish()) {
            results[*index].0 = done;
        }
        for ran in &report.on_device {
            results[indices[*ran]].1 = true;
        }
        runner.keep_first_state();
        let mut totals = self.totals();
        totals.differences += report.differences.len() as u64;
        totals.report.add(report);
        results
    }
}
