//! One thread that executes a block in order: all of it, or so much that it can be told whether several threads pay.

use super::{
    Block, Threads,
    ahead::{self, Ahead},
};
use crate::{
    error::{ExecuteError, TxError},
    evm::{BlockGas, Executed, Replica},
    forecast::{Forecast, TRANSFER},
    outcome::TxOutcome,
    report::{ExecutionReport, Runner, Span},
    tx::Transaction,
};
use std::time::{Duration, Instant};

/// Calls that tell whether what is expected of others like them is right, and how long is waited for them: about what it takes to wake a
/// thread.
const ENOUGH: usize = 16;
const PATIENCE: Duration = Duration::from_micros(50);

/// Of what a block is expected to take the part of which nothing may have been measured here: one in so many.
const DOUBTFUL: u32 = 4;

/// Where a block stands.
pub(super) struct InOrder<'a> {
    replica: Replica<'a>,
    gas: BlockGas,
    begun: Instant,
    outcomes: Vec<TxOutcome>,
    /// Of each transaction whether its target had code, and what it took on an interpreter.
    ran: Vec<(bool, Duration)>,
}

/// What several threads go on with.
pub(super) struct Begun {
    pub(super) executed: Vec<Executed>,
    pub(super) gas: BlockGas,
    pub(super) span: Span,
}

impl<'a> InOrder<'a> {
    /// # Errors
    /// The environment cannot be had.
    pub(super) fn new(block: &Block<'a, '_>, threads: &Threads<'_>) -> Result<Self, ExecuteError> {
        let mut replica = Replica::new(block.env, block.state, threads.codes).map_err(ExecuteError::Block)?;
        replica.reserve(block.txs.len());
        replica.run_alone();
        let begun = Instant::now();
        Ok(Self { replica, gas: BlockGas::default(), begun, outcomes: Vec::new(), ran: Vec::new() })
    }

    /// What calls are expected to take that were never measured here, if that is much of what all are.
    pub(super) fn doubtful(block: &Block<'_, '_>, in_calls: Duration) -> Option<Duration> {
        let doubtful: Duration = (0..block.txs.len()).filter_map(|index| Self::doubt(block, index)).sum();
        (doubtful * DOUBTFUL > in_calls).then_some(doubtful)
    }

    /// What a call is expected to take, if it was never measured here.
    fn doubt(block: &Block<'_, '_>, index: usize) -> Option<Duration> {
        let measured = block.calls[index].is_some_and(|call| call.measured);
        (!measured).then(|| block.costs[index] - TRANSFER)
    }

    /// Runs what comes first, for a moment, and says what those calls will take by that which are `doubtful`.
    pub(super) fn try_out(&mut self, block: &Block<'_, '_>, doubtful: Duration) -> Duration {
        let (mut tried, mut expected, mut took) = (0, Duration::ZERO, Duration::ZERO);
        for index in 0..block.txs.len() {
            if tried == ENOUGH || self.begun.elapsed() > PATIENCE {
                break;
            }
            let (tx, sender) = (&block.txs[index], block.senders[index]);
            let fits = self.gas.check(block.env, tx).is_ok();
            let ran = if fits { self.replica.run_if_short(tx, sender, PATIENCE) } else { None };
            // What was broken off may take what was expected.
            let taken = ran.as_ref().map_or(block.costs[index].max(PATIENCE), |executed| executed.took);
            if let Some(doubt) = Self::doubt(block, index).filter(|_| fits && !taken.is_zero()) {
                tried += 1;
                expected += doubt;
                took += taken;
            }
            let Some(executed) = ran else {
                self.replica.run_with_prefix(&self.outcomes);
                break;
            };
            self.take(tx, executed);
        }
        if took >= expected { doubtful } else { doubtful.mul_f64(took.div_duration_f64(expected)) }
    }

    /// How many have run.
    pub(super) const fn len(&self) -> usize {
        self.outcomes.len()
    }

    fn take(&mut self, tx: &Transaction, executed: Executed) {
        let Executed { outcome, is_call, took, .. } = executed;
        self.gas.add(tx, outcome.gas_used);
        self.ran.push((is_call, took));
        self.outcomes.push(outcome);
        if self.replica.needs_prefix() {
            self.replica.run_with_prefix(&self.outcomes);
        }
    }

    /// The rest, while another thread reads ahead if there is one.
    ///
    /// # Errors
    /// As [`super::execute`].
    pub(super) fn finish(
        mut self,
        block: &Block<'_, '_>,
        threads: &Threads<'_>,
        known: &mut Forecast,
        report: &mut ExecutionReport,
    ) -> Result<Vec<TxOutcome>, ExecuteError> {
        let Block { txs, senders, state, calls, .. } = *block;
        self.outcomes.reserve(txs.len() - self.outcomes.len());
        self.ran.reserve(txs.len() - self.ran.len());
        let done = if threads.pool.current_num_threads() < 2 || txs.len() < ahead::LEAST {
            self.rest(block, None)
        } else {
            let ahead = Ahead::new(state, txs, senders);
            let done = threads.pool.in_place_scope(|scope| {
                scope.spawn(|_| ahead.read());
                let done = self.rest(block, Some(&ahead));
                ahead.end();
                done
            });
            threads.linger.leave(threads.pool, vec![self.replica.leave()]);
            done
        };
        // What ran before an error, too.
        for (index, (outcome, (is_call, took))) in self.outcomes.iter().zip(self.ran).enumerate() {
            known.learn_cost(&txs[index], calls[index].as_ref(), took);
            report.cpu.add(is_call, outcome.gas_used);
        }
        done.map(|()| self.outcomes)
    }

    fn rest(&mut self, block: &Block<'_, '_>, ahead: Option<&Ahead<'_>>) -> Result<(), ExecuteError> {
        for index in self.outcomes.len()..block.txs.len() {
            if let Some(ahead) = ahead {
                self.replica.knows(ahead.known(index));
            }
            let (tx, sender) = (&block.txs[index], block.senders[index]);
            let fits = self.gas.check(block.env, tx).map_err(TxError::from);
            let ran = fits.and_then(|()| self.replica.run_in_turn(tx, sender));
            self.take(tx, ran.map_err(|error| ExecuteError::at(index, error))?);
        }
        Ok(())
    }

    /// For several threads to go on, of which the calling one has the replica.
    pub(super) fn hand_over(mut self, block: &Block<'_, '_>) -> (Replica<'a>, Begun) {
        self.replica.run_with_prefix(&self.outcomes);
        let (from, to) = (self.begun - block.begun, block.begun.elapsed());
        let span = Span { runner: Runner::Cpu, thread: 0, first: 0, txs: self.outcomes.len(), from, to };
        let each = self.outcomes.into_iter().zip(self.ran);
        let executed = each.map(|(outcome, (is_call, took))| Executed::committed(outcome, is_call, took)).collect();
        (self.replica, Begun { executed, gas: self.gas, span })
    }
}
