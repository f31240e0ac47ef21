//! Drives the `execute` kernel: bounded slices over the lanes that run, requests of parked lanes served in between.

use super::{
    buffers::{Buffers, Held, interleaved},
    gather::{Area, Gather},
    gpu::{Access, Checks, Gpu, Source},
    pace::{Dispatched, Pace},
    read_back::{self, beyond_caps, lane_states},
};
use crate::{
    abi::{self, LaneState, Params},
    backend::{BackendError, Executed},
    fallback::FallbackReason,
    lower::{Batch, address_limbs, limbs_of},
    park::{Answer, Request, Service},
    plan::LaneLimits,
};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// The kernel and its buffers.
#[derive(Debug)]
pub(super) struct Execute {
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::ComputePipeline,
    gather: Gather,
    /// Those of the last batch. Not locked while a batch runs: it may recover signers on threads that wait for others.
    kept: Mutex<Option<Buffers>>,
    /// Dispatches of batches that run at the same time follow each other, so that each knows how long its own took.
    turn: Mutex<()>,
}

/// A batch while it runs.
#[derive(Debug)]
struct Running<'a> {
    gpu: &'a Gpu,
    kernel: &'a Execute,
    batch: &'a Batch,
    buffers: &'a mut Buffers,
    held: Held,
    /// Lanes at the head of the list that the kernel goes by.
    listed: u32,
    /// Parked lanes that are not served any more.
    left: HashSet<usize>,
    /// Lanes of which the service was told that they fall back.
    told: HashSet<usize>,
    done: Executed,
}

/// What a slice comes to.
#[derive(Clone, Copy, Debug)]
struct Counters {
    running: u32,
    parked: u32,
    declined: u32,
    did: Dispatched,
}

/// In the order of [`Buffers::bindings`].
const LAYOUT: [Access; 9] = {
    use Access::{Read, Uniform, Write};
    [Read, Read, Read, Write, Write, Write, Write, Write, Uniform]
};

impl Execute {
    /// Compiles the kernel.
    ///
    /// # Errors
    /// [`BackendError::Compile`].
    pub(super) fn new(gpu: &Gpu, checks: Checks, source: &Source, gather: Gather) -> Result<Self, BackendError> {
        let layout = gpu.layout(false, &LAYOUT);
        let [pipeline] = gpu.pipelines(source, checks, &layout, ["execute"])?;
        Ok(Self { layout, pipeline, gather, kept: Mutex::new(None), turn: Mutex::new(()) })
    }

    /// Runs a batch to its end.
    ///
    /// # Errors
    /// Any [`BackendError`]; then nothing of the batch may be used.
    pub(super) fn run(&self, gpu: &Gpu, batch: &Batch, service: &mut dyn Service) -> Result<Executed, BackendError> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = kept().take();
        let fitting = taken.filter(|buffers| buffers.are_for(batch.coverage));
        let mut buffers = fitting.unwrap_or_else(|| Buffers::new(gpu, batch.coverage));
        let done = self.run_in(gpu, &mut buffers, batch, service)?;
        kept().get_or_insert(buffers);
        Ok(done)
    }

    fn run_in(
        &self,
        gpu: &Gpu,
        buffers: &mut Buffers,
        batch: &Batch,
        service: &mut dyn Service,
    ) -> Result<Executed, BackendError> {
        let mut tables = Held::default();
        let start = Instant::now();
        buffers.start(gpu, batch)?;
        buffers.sync(gpu, &mut tables, service)?;
        let upload = start.elapsed();
        let mut running = Running {
            gpu,
            kernel: self,
            batch,
            buffers,
            held: tables,
            listed: batch.params.lanes,
            left: HashSet::new(),
            told: HashSet::new(),
            done: Executed { upload, ..Executed::default() },
        };
        running.slices(service)?;
        let Running { buffers, done, .. } = running;
        let start = Instant::now();
        let mut lanes = read_back::results(gpu, &self.gather, buffers, batch.lanes.len(), &batch.limits)?;
        let coverage = read_back::coverage(gpu, buffers, batch.coverage, &mut lanes)?;
        Ok(Executed { lanes, coverage, read_back: start.elapsed(), ..done })
    }
}

impl Running<'_> {
    fn group(&self) -> wgpu::BindGroup {
        self.gpu.bind(&self.kernel.layout, self.buffers.params.as_entire_buffer_binding(), &self.buffers.bindings())
    }

    /// Runs slices until every lane has ended or is left.
    fn slices(&mut self, service: &mut dyn Service) -> Result<(), BackendError> {
        let mut group = self.group();
        let mut pace = Pace::first(self.listed);
        loop {
            let (mut running, mut parked, mut first) = (0, 0, 0);
            while first < self.listed {
                let lanes = pace.lanes.min(self.listed - first);
                let snapshot_mask = service.snapshot().mask();
                let coverage = self.batch.coverage as u32;
                let slice = Params { slice_steps: pace.steps, snapshot_mask, first, coverage, ..self.batch.params };
                let counters = self.dispatch(&group, slice, lanes)?;
                running += counters.running;
                parked += counters.parked;
                first += lanes;
                // Those whose turn has not come may go on too.
                let rest = counters.running + counters.parked + self.listed - lanes;
                pace = pace.next(counters.did, rest);
                if counters.declined > 0 && rest > 0 {
                    let states = self.states(1)?;
                    self.tell(&states, service);
                }
            }
            if running == 0 && parked == 0 {
                return Ok(());
            }
            if parked > 0 {
                self.done.served += u64::from(parked);
                self.serve(service)?;
                if self.buffers.sync(self.gpu, &mut self.held, service)? {
                    group = self.group();
                }
            } else if self.listed > abi::WORKGROUP && running <= self.listed / 2 {
                let states = self.states(1)?;
                self.compact(&states);
            }
        }
    }

    /// Runs a slice of `lanes` of the list from `slice.first` on.
    fn dispatch(&mut self, group: &wgpu::BindGroup, slice: Params, lanes: u32) -> Result<Counters, BackendError> {
        let (gpu, kernel, buffers) = (self.gpu, self.kernel, &*self.buffers);
        gpu.write(&buffers.params, 0, &[Params { listed: slice.first + lanes, ..slice }]);
        gpu.write(&buffers.counters, 0, &[0_u32; abi::COUNTERS as usize]);
        let turn = kernel.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let start = Instant::now();
        gpu.dispatch(&kernel.pipeline, group, &[], lanes.div_ceil(abi::WORKGROUP));
        let counters = buffers.staging.download(gpu, &[(&buffers.counters, 0, u64::from(abi::COUNTERS) * 4)])?;
        let took = start.elapsed();
        drop(turn);
        self.done.dispatches += 1;
        self.done.invocations += u64::from(lanes);
        self.done.longest = self.done.longest.max(took);
        let [running, _, parked, work, declined] = counters[..] else { return Err(beyond_caps()) };
        Ok(Counters { running, parked, declined, did: Dispatched { took, work, lanes } })
    }

    fn states(&self, rows: usize) -> Result<Vec<LaneState>, BackendError> {
        lane_states(self.gpu, self.buffers, self.batch.lanes.len(), rows, &self.batch.limits)
    }

    /// Tells the service of lanes that have ended with a reason to fall back since it was told last.
    fn tell(&mut self, states: &[LaneState], service: &mut dyn Service) {
        for (lane, state) in states.iter().enumerate() {
            let reason = state.status.checked_sub(abi::STATUS_FALLBACK).and_then(FallbackReason::from_u32);
            if let Some(reason) = reason
                && self.told.insert(lane)
            {
                service.declined(lane, reason);
            }
        }
    }

    /// Lists the lanes that run, in the order of the batch, so that the others cost nothing.
    fn compact(&mut self, states: &[LaneState]) {
        let list: Vec<u32> =
            (0..).zip(states).filter(|(_, state)| state.status == abi::STATUS_RUNNING).map(|(lane, _)| lane).collect();
        self.listed = list.len() as u32;
        self.gpu.write(&self.buffers.batch, 0, &list);
    }

    /// Hands the requests of all parked lanes but those left to the service, and its answers to the lanes.
    fn serve(&mut self, service: &mut dyn Service) -> Result<(), BackendError> {
        let mut states = self.states(LaneLimits::REGISTER_ROWS as usize)?;
        let waits =
            |(lane, state): &(usize, &LaneState)| state.status == abi::STATUS_PARKED && !self.left.contains(lane);
        let parked: Vec<usize> = states.iter().enumerate().filter(waits).map(|(lane, _)| lane).collect();
        let requests = self.requests(&states, &parked)?;
        let answers = service.serve(&requests);
        if answers.len() != requests.len() {
            return Err(BackendError::Abi(format!("{} answers to {} requests", answers.len(), requests.len())));
        }
        let mut replied = false;
        for (lane, answer) in parked.into_iter().zip(answers) {
            let state = &mut states[lane];
            match answer {
                Answer::Resume => state.status = abi::STATUS_RUNNING,
                Answer::Reply { address, word, len } => {
                    state.status = abi::STATUS_RUNNING;
                    state.request_address = address_limbs(&address);
                    state.request_word = limbs_of(word);
                    state.request_len = len;
                    replied = true;
                }
                Answer::End(reason) => state.status = abi::STATUS_FALLBACK + reason as u32,
                Answer::Leave => drop(self.left.insert(lane)),
            }
        }
        self.tell(&states, service);
        let rows = if replied { LaneLimits::REGISTER_ROWS as usize } else { 1 };
        self.gpu.write_rows(&self.buffers.lanes, 0, rows * states.len(), interleaved(&states, rows));
        self.compact(&states);
        Ok(())
    }

    fn requests(&self, states: &[LaneState], parked: &[usize]) -> Result<Vec<Request>, BackendError> {
        let bytes_of = |lane: &usize| (states[*lane].request_offset, states[*lane].request_len);
        let run = |lane: &usize| {
            let (offset, len) = bytes_of(lane);
            read_back::limbs(*lane as u32, offset, len)
        };
        let runs = parked.iter().map(run).collect();
        let area = Area { buffer: &self.buffers.memory, base: 0, width: 1, runs };
        let [fetched] = self.kernel.gather.fetch(self.gpu, &self.buffers.staging, self.batch.params.lanes, [area])?;
        let mut limbs = Vec::new();
        let request = |(index, lane): (usize, &usize)| {
            fetched.read(index, &mut limbs);
            let (offset, len) = bytes_of(lane);
            Request::new(*lane, &states[*lane], read_back::bytes(&limbs, offset, len))
        };
        Ok(parked.iter().enumerate().map(request).collect())
    }
}
