//! `bench keccak`: every engine of Keccak-256 beside keccak-asm and tiny-keccak, in one run.

use super::{
    BenchError, Choice, Lineup, Options, PARALLEL_FROM, Report, Subject,
    choice::{AUTO, WGPU_U32, WGPU_U64},
    runner::{self, Case, Contender, RunError, timed},
    workload::{self, check_equal},
};
use crate::{
    backend::Backend,
    engine::Engine,
    keccak::{self, keccak256_batch},
};
use alloy_primitives::B256;
use rayon::{ThreadPool, prelude::*};
use std::{sync::Arc, time::Duration};

/// The name in rows.
pub const BENCH: &str = "keccak";

/// The engines, by their fixed names.
pub const ENGINES: [&str; 7] = ["avx512", "avx2", BASELINE, TINY, WGPU_U64, WGPU_U32, AUTO];

/// The engine that ratios compare with, on one thread.
pub const BASELINE: &str = "keccak-asm";

const TINY: &str = "tiny-keccak";

/// The workloads, by their fixed names, and how long their messages are: a storage slot's key, a mapping's, a whole block
/// of the sponge, a full branch of the trie.
pub const WORKLOADS: [(&str, usize); 4] = [("32B", 32), ("64B", 64), ("136B", 136), ("532B", 532)];

/// Messages that a thread takes at once: full lanes of every engine.
const SHARE: usize = 64;

/// Messages and their hashes.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    /// All of the same length.
    pub messages: &'a [&'a [u8]],
    /// By tiny-keccak.
    pub expected: &'a [B256],
}

/// How an engine hashes.
#[derive(Clone, Debug)]
pub enum How {
    /// One of this crate's, on the calling thread or on those of a pool.
    Cpu(keccak::Engine, Option<Arc<ThreadPool>>),
    /// Somebody else's, one message at a time.
    Peer(fn(&[u8]) -> B256),
    /// A device that has passed its self-test; never the CPU in its place.
    Device(Arc<dyn Backend>),
    /// The library, as its users have it.
    Auto(Arc<Engine>),
}

impl Subject<How> {
    /// Hashes once and checks every result: the time without the check.
    ///
    /// # Errors
    /// The device failed, or a result is wrong.
    pub fn hash(&self, messages: Messages<'_>, n: usize) -> Result<Duration, RunError> {
        let (messages, expected) = (&messages.messages[..n], &messages.expected[..n]);
        let run = || match &self.how {
            How::Cpu(engine, pool) => Ok(on_cpu(*engine, pool.as_deref(), messages)),
            How::Peer(hash) => Ok(messages.iter().map(|message| hash(message)).collect()),
            How::Device(device) => Ok(device.keccak256(messages)?),
            How::Auto(engine) => Ok(engine.keccak256(messages)),
        };
        timed(run, |actual: &Vec<B256>| check_equal(expected, actual))
    }
}

fn on_cpu(engine: keccak::Engine, pool: Option<&ThreadPool>, messages: &[&[u8]]) -> Vec<B256> {
    let mut hashes = vec![B256::ZERO; messages.len()];
    match pool {
        None => keccak256_batch(engine, messages, &mut hashes),
        Some(pool) => {
            let shares = messages.par_chunks(SHARE).zip(hashes.par_chunks_mut(SHARE));
            pool.install(|| shares.for_each(|(messages, hashes)| keccak256_batch(engine, messages, hashes)));
        }
    }
    hashes
}

/// The engines that `choice` asks for.
///
/// # Errors
/// See [`BenchError`].
pub fn lineup(choice: &Choice) -> Result<Lineup<How>, BenchError> {
    let pool = choice.pool()?;
    choice.lineup(BENCH, &ENGINES, BASELINE, |name| match name {
        TINY => Ok(vec![Subject::single(name, How::Peer(workload::keccak))]),
        WGPU_U64 | WGPU_U32 => {
            let device = choice.wgpu(name)?;
            let adapter = Some(device.name().to_owned());
            Ok(vec![Subject { device: adapter, ..Subject::single(name, How::Device(device)) }])
        }
        AUTO => {
            let engine = choice.auto()?;
            Ok(vec![Subject { threads: engine.threads(), ..Subject::single(name, How::Auto(engine)) }])
        }
        _ => {
            let engine = keccak::Engine::ALL.into_iter().find(|engine| engine.name() == name);
            let engine = engine.ok_or("not part of this build")?;
            if !engine.is_available() {
                return Err("this CPU does not have it".into());
            }
            let single = Subject::single(name, How::Cpu(engine, None));
            let parallel = pool.clone().map(|pool| Subject {
                threads: pool.current_num_threads(),
                ..Subject::single(name, How::Cpu(engine, Some(pool)))
            });
            Ok([single].into_iter().chain(parallel).collect())
        }
    })
}

/// The engines on `n` of the messages, without those whose threads are too many for as few.
pub fn contenders<'a>(subjects: &'a [Subject<How>], messages: Messages<'a>, n: usize) -> Vec<Contender<'a>> {
    let fits = |subject: &&Subject<How>| n >= PARALLEL_FROM || !matches!(subject.how, How::Cpu(_, Some(_)));
    let contender = |subject: &'a Subject<How>| {
        let call = move |n| subject.hash(messages, n);
        Contender::new(subject.engine, subject.threads, subject.device.as_deref(), call)
    };
    subjects.iter().filter(fits).map(contender).collect()
}

/// Measures every workload at every size. `progress` is told what is being done.
///
/// # Errors
/// See [`BenchError`].
pub fn run(options: &Options, progress: &dyn Fn(&str)) -> Result<Report, BenchError> {
    progress("opening the engines");
    let Lineup { subjects, absent } = lineup(&options.choice)?;
    let mut report = Report { left_out: absent, ..Report::default() };
    let sizes = options.ascending();
    let most = sizes.last().copied().unwrap_or(0);
    for (workload, length) in WORKLOADS {
        progress(&format!("{most} messages of {length} bytes"));
        let (messages, expected) = workload::messages(most, length);
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let messages = Messages { messages: &messages, expected: &expected };
        for &n in &sizes {
            let contenders = contenders(&subjects, messages, n);
            let case = Case { bench: BENCH, workload, n, divisible: true, gas: None, baseline: BASELINE };
            runner::measure(&mut report, &case, &contenders, &options.plan, progress)?;
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::BackendKind, bench::runner::Plan};

    fn cpu() -> Choice {
        Choice { backend: BackendKind::Cpu, device: None, threads: 2, only: Vec::new() }
    }

    #[test]
    fn every_engine_of_the_library_has_its_fixed_name() {
        assert!(keccak::Engine::ALL.iter().all(|engine| ENGINES.contains(&engine.name())));
    }

    #[test]
    fn a_wrong_hash_is_noticed_whoever_gives_it() {
        let (messages, mut expected) = workload::messages(300, 64);
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        for subject in lineup(&cpu()).unwrap().subjects {
            assert!(subject.hash(Messages { messages: &messages, expected: &expected }, 300).is_ok());
        }
        expected[250].0[0] ^= 1;
        for subject in lineup(&cpu()).unwrap().subjects {
            let wrong = Messages { messages: &messages, expected: &expected };
            let error = subject.hash(wrong, 300).unwrap_err();
            assert!(matches!(&error, RunError::Wrong(reason) if reason.starts_with("result 250 is 0x")), "{error:?}");
            assert!(subject.hash(wrong, 250).is_ok());
        }
    }

    #[test]
    fn every_workload_has_its_rows() {
        let choice = Choice { only: vec![TINY.into()], ..cpu() };
        let plan = Plan { rounds: 1, ..Plan::default() };
        let report = run(&Options { choice, sizes: vec![3], plan }, &|_| {}).unwrap();
        let rows: Vec<_> = report.rows.iter().map(|row| (row.workload.as_str(), row.engine)).collect();
        let expected = WORKLOADS.iter().flat_map(|(name, _)| [(*name, BASELINE), (*name, TINY)]);
        assert_eq!(rows, expected.collect::<Vec<_>>());
    }
}
