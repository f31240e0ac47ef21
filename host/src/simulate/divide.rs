//! Chunks that a device has a part in: all of it where it is named; under `auto` as much as ends when the CPU's part does.

use super::{
    Answer, Sequence,
    run::{Chunk, Device, Shared, Simulator},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// One call in so many is looked at to learn what calls are like.
const SAMPLE: usize = 16;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let done = run();
    (done, start.elapsed().as_secs_f64())
}

impl<'a> Simulator<'a> {
    pub(super) fn chunk_with_device(&self, chunk: &Chunk<'a, '_>, device: &Device<'a>) -> Vec<Answer> {
        let all: Vec<usize> = (0..chunk.calls.len()).collect();
        let Some(shared) = &device.shared else {
            let done = self.chunk_on_device(chunk, &all, self.pool, &mut locked(&device.runner));
            return done.into_iter().map(|(answer, _)| answer).collect();
        };
        let units = locked(&shared.balance).device_units(all.len());
        if units == 0 {
            let (answers, seconds) = timed(|| self.chunk_on_cpu(chunk, &all));
            let mut balance = locked(&shared.balance);
            balance.learn_cpu(answers.len(), seconds);
            for (call, answer) in chunk.calls.iter().zip(&answers).step_by(SAMPLE) {
                if let (Ok(call), Ok(result)) = (call, answer) {
                    balance.learn(call, result.gas_used, false);
                }
            }
            return answers;
        }
        let calls: Vec<_> = chunk.calls.iter().map(|call| call.as_ref().ok()).collect();
        let (order, units) = locked(&shared.balance).order(&calls, units);
        let (first, rest) = order.split_at(units);
        let ((on_device, device_seconds), (on_cpu, cpu_seconds)) = both(
            shared,
            || self.chunk_on_device(chunk, first, shared.beside, &mut locked(&device.runner)),
            || self.chunk_on_cpu(chunk, rest),
        );
        let mut balance = locked(&shared.balance);
        balance.learn_device(on_device.len(), device_seconds);
        balance.learn_cpu(on_cpu.len(), cpu_seconds);
        let done = on_device.into_iter().chain(on_cpu.into_iter().map(|answer| (answer, true)));
        let mut answers: Vec<Option<Answer>> = calls.iter().map(|_| None).collect();
        for (place, (index, (answer, as_asked))) in order.iter().zip(done).enumerate() {
            if (place % SAMPLE == 0 || !as_asked)
                && let (Some(call), Ok(result)) = (calls[*index], &answer)
            {
                balance.learn(call, result.gas_used, !as_asked);
            }
            answers[*index] = Some(answer);
        }
        // Fewer only where it was cancelled.
        answers.into_iter().map_while(|answer| answer).collect()
    }

    pub(super) fn sequences_with_device(&self, sequences: &[Sequence], device: &Device<'a>) -> Vec<Vec<Answer>> {
        let Some(shared) = &device.shared else {
            return self.sequences_on_device(sequences, self.pool, &mut locked(&device.runner));
        };
        let calls: usize = sequences.iter().map(|sequence| sequence.calls.len()).sum();
        let units = locked(&shared.balance).device_units(calls);
        let (first, rest) = sequences.split_at(sequences.len() * units / calls.max(1));
        let count = |answers: &[Vec<Answer>]| answers.iter().map(Vec::len).sum();
        if first.is_empty() {
            let (answers, seconds) = timed(|| self.sequences_on_cpu(rest));
            locked(&shared.balance).learn_cpu(count(&answers), seconds);
            return answers;
        }
        let ((mut answers, device_seconds), (mut on_cpu, cpu_seconds)) = both(
            shared,
            || self.sequences_on_device(first, shared.beside, &mut locked(&device.runner)),
            || self.sequences_on_cpu(rest),
        );
        let mut balance = locked(&shared.balance);
        balance.learn_device(count(&answers), device_seconds);
        balance.learn_cpu(count(&on_cpu), cpu_seconds);
        answers.append(&mut on_cpu);
        answers
    }
}

/// Both parts at the same time, each with the seconds that it took.
fn both<D: Send, C>(
    shared: &Shared<'_>,
    device: impl FnOnce() -> D + Send,
    cpu: impl FnOnce() -> C,
) -> ((D, f64), (C, f64)) {
    let mut on_device = None;
    let on_cpu = shared.beside.in_place_scope(|scope| {
        scope.spawn(|_| on_device = Some(timed(device)));
        timed(cpu)
    });
    match on_device {
        Some(on_device) => (on_device, on_cpu),
        // A panic of the device's part is the scope's.
        None => unreachable!("the scope waits"),
    }
}
