//! Calls and sequences by revm, on CPU threads.

use super::{
    Answer, Call, CallResult, Sequence, Wants,
    place::{Layer, Place},
};
use crate::{
    coverage::Coverage,
    error::TxError,
    evm::{CallRevm, Called},
    fork::Fork,
    outcome::TxStatus,
};
use std::sync::{Arc, atomic::AtomicBool};

/// What one thread keeps from call to call.
#[derive(Debug)]
pub(super) struct Cpu<'a> {
    base: Place<'a>,
    /// Any of them stops a call.
    flags: Vec<Arc<AtomicBool>>,
    revm: Option<CallRevm<Layer<'a>>>,
    /// Whether revm stands at the base; else it stands at `elsewhere`, or at a place that is gone.
    at_base: bool,
    elsewhere: Option<usize>,
}

/// What a call came to, as it is given out.
pub(super) fn result(called: Called, wants: Wants) -> CallResult {
    let Called { outcome, access_list, coverage } = called;
    CallResult {
        status: outcome.status,
        gas_used: outcome.gas_used,
        output: outcome.output,
        contract_address: outcome.contract_address,
        logs: wants.logs.then_some(outcome.logs),
        state_diff: wants.state_diff.then_some(outcome.changes),
        access_list,
        coverage,
    }
}

impl<'a> Cpu<'a> {
    pub(super) const fn new(base: Place<'a>, flags: Vec<Arc<AtomicBool>>) -> Self {
        Self { base, flags, revm: None, at_base: false, elsewhere: None }
    }

    /// revm at a place: made where there is none, else led there.
    fn enter(&mut self, place: &Place<'a>) -> Result<&mut CallRevm<Layer<'a>>, TxError> {
        (self.at_base, self.elsewhere) = (false, None);
        if let Some(revm) = &mut self.revm {
            revm.enter(&place.env, place.state.clone())?;
        }
        let flags = || self.flags.clone();
        let new = || CallRevm::new(&place.env, place.state.clone()).map(|revm| revm.equipped(flags()));
        Ok(match self.revm.take() {
            Some(revm) => self.revm.insert(revm),
            None => self.revm.insert(new()?),
        })
    }

    fn enter_base(&mut self) -> Result<&mut CallRevm<Layer<'a>>, TxError> {
        if !self.at_base {
            let base = self.base.clone();
            self.enter(&base)?;
            self.at_base = true;
        }
        self.revm.as_mut().ok_or_else(|| TxError::Evm("no revm".into()))
    }

    /// A call at the base.
    pub(super) fn called(&mut self, call: &Call, wants: Wants) -> Result<Called, TxError> {
        self.enter_base()?.call(call, wants)
    }

    /// A call at the place that has this number.
    pub(super) fn called_at(
        &mut self,
        number: usize,
        place: &Place<'a>,
        call: &Call,
        wants: Wants,
    ) -> Result<Called, TxError> {
        if self.elsewhere != Some(number) {
            self.enter(place)?;
            self.elsewhere = Some(number);
        }
        let revm = self.revm.as_mut().ok_or_else(|| TxError::Evm("no revm".into()))?;
        revm.call(call, wants)
    }

    /// Forgets the numbers of places.
    pub(super) const fn leave(&mut self) {
        self.elsewhere = None;
    }

    /// The edges of all calls that did not ask for their own, since the last time.
    pub(super) fn merged_edges(&mut self) -> Option<Box<Coverage>> {
        self.revm.as_mut().map(CallRevm::merged_edges)
    }

    /// The answers to a sequence, fewer than its calls where it ends early.
    pub(super) fn sequence(&mut self, sequence: &Sequence, wants: Wants, stop_on_revert: bool) -> Vec<Answer> {
        let plain = |call: &Call| call.state.is_none() && call.block.is_none();
        // Before Spurious Dragon an account may be empty or not exist, which a journal over several calls mixes up.
        let kept = !wants.state_diff && self.base.env.fork >= Fork::SpuriousDragon;
        let mut answers = Vec::with_capacity(sequence.calls.len());
        if kept && sequence.calls.iter().all(plain) && self.in_journal(sequence, wants, stop_on_revert, &mut answers) {
            return answers;
        }
        let mut place = self.base.clone();
        // What is answered already is run again for what it leaves.
        for call in &sequence.calls[..answers.len()] {
            let _ = self.step(&mut place, call, Wants::default());
        }
        for call in &sequence.calls[answers.len()..] {
            let answer = self.step(&mut place, call, wants).map(|called| result(called, wants));
            let stops = stop_on_revert && !succeeded(&answer);
            answers.push(answer);
            if stops {
                break;
            }
        }
        answers
    }

    /// Runs a call at a place, which becomes what the call leaves.
    pub(super) fn step(&mut self, place: &mut Place<'a>, call: &Call, wants: Wants) -> Result<Called, TxError> {
        *place = place.of(call)?;
        let called = self.enter(place)?.call_on_its_own(call, wants);
        if let Some(revm) = &mut self.revm {
            // One owner is left, who need not copy what he changes.
            *revm.state_mut() = self.base.state.clone();
        }
        let called = called?;
        place.state.own().commit(&called.outcome);
        Ok(called)
    }

    /// Answers the calls of a sequence with what they leave kept in the journal, and says whether that can be done to the end.
    fn in_journal(
        &mut self,
        sequence: &Sequence,
        wants: Wants,
        stop_on_revert: bool,
        answers: &mut Vec<Answer>,
    ) -> bool {
        let revm = match self.enter_base() {
            Ok(revm) => revm,
            Err(error) => {
                answers.extend(sequence.calls.iter().map(|_| Err(error.clone())));
                return true;
            }
        };
        let (mut sound, mut ends) = (true, true);
        for call in &sequence.calls {
            let answer = revm.call_in_sequence(call, wants).map(|called| result(called, wants));
            sound &= !matches!(answer, Err(TxError::State(_) | TxError::Evm(_)));
            let stops = stop_on_revert && !succeeded(&answer);
            answers.push(answer);
            ends = stops || !revm.is_high();
            if stops || !ends {
                break;
            }
        }
        revm.end_sequence();
        // What was read by half is read again.
        self.at_base = sound;
        ends
    }
}

/// Whether a call ran and neither reverted nor halted.
pub(super) fn succeeded(answer: &Answer) -> bool {
    answer.as_ref().is_ok_and(|result| result.status == TxStatus::Success)
}
