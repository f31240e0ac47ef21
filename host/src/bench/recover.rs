//! `bench recover`: every engine of recovery beside libsecp256k1, k256 and alloy, in one run.

use super::{
    BenchError, Choice, Lineup, Options, PARALLEL_FROM, Report, Subject,
    choice::{AUTO, WGPU_U32, WGPU_U64},
    report::LeftOut,
    runner::{self, Case, Contender, RunError, timed},
    workload::{Signatures, check_equal},
};
use crate::{
    backend::Backend,
    engine::Engine,
    recover::{self, HALF_ORDER, RecoverError, RecoverRequest, recover_batch, recover_parallel},
};
use alloy_primitives::{Address, Signature, keccak256};
use k256::ecdsa::{RecoveryId, VerifyingKey};
use rayon::ThreadPool;
use std::{sync::Arc, time::Duration};

/// The name in rows.
pub const BENCH: &str = "recover";

/// The engines, by their fixed names.
pub const ENGINES: [&str; 8] = ["avx512-ifma", "avx2", BASELINE, K256, ALLOY, WGPU_U64, WGPU_U32, AUTO];

/// The engine that ratios compare with, on one thread.
pub const BASELINE: &str = "libsecp256k1";

const K256: &str = "k256";
const ALLOY: &str = "alloy";

/// From this many signatures on a mix has an invalid one.
const MIXED_FROM: usize = 100;

/// How an engine recovers.
#[derive(Clone, Debug)]
pub enum How {
    /// One of this crate's, on the calling thread or on those of a pool.
    Cpu(recover::Engine, Option<Arc<ThreadPool>>),
    /// Somebody else's, one signature at a time; it does not say why there is no signer.
    Peer(fn(&RecoverRequest) -> Option<Address>),
    /// A device that has passed its self-test; never the CPU in its place.
    Device(Arc<dyn Backend>),
    /// The library, as its users have it.
    Auto(Arc<Engine>),
}

impl Subject<How> {
    /// Recovers once and checks every result: the time without the check.
    ///
    /// # Errors
    /// The device failed, or a result is wrong.
    pub fn recover(&self, signatures: &Signatures, n: usize) -> Result<Duration, RunError> {
        let (requests, expected) = (&signatures.requests[..n], &signatures.expected[..n]);
        let check = |actual: &Vec<_>| check_equal(expected, actual);
        match &self.how {
            How::Cpu(engine, None) => timed(|| Ok(on_this_thread(*engine, requests)), check),
            How::Cpu(engine, Some(pool)) => timed(|| Ok(pool.install(|| recover_parallel(*engine, requests))), check),
            How::Device(device) => timed(|| Ok(device.recover(requests)?), check),
            How::Auto(engine) => timed(|| Ok(engine.recover(requests)), check),
            How::Peer(recover) => timed(
                || Ok(requests.iter().map(recover).collect::<Vec<_>>()),
                |actual| check_equal(&expected.iter().map(|signer| signer.ok()).collect::<Vec<_>>(), actual),
            ),
        }
    }
}

fn on_this_thread(engine: recover::Engine, requests: &[RecoverRequest]) -> Vec<Result<Address, RecoverError>> {
    let mut results = vec![Err(RecoverError::Range); requests.len()];
    recover_batch(engine, requests, &mut results);
    results
}

/// k256 as alloy calls it: low s, then recovery, which verifies the signature too.
fn by_k256(request: &RecoverRequest) -> Option<Address> {
    if request.low_s && request.s > HALF_ORDER {
        return None;
    }
    let [r, s] = [request.r, request.s].map(|scalar| scalar.to_be_bytes::<32>());
    let signature = k256::ecdsa::Signature::from_scalars(r, s).ok()?;
    let (signature, id) = match signature.normalize_s() {
        Some(low) => (low, request.recovery_id ^ 1),
        None => (signature, request.recovery_id),
    };
    let key = VerifyingKey::recover_from_prehash(&request.hash[..], &signature, RecoveryId::from_byte(id)?).ok()?;
    Some(Address::from_slice(&keccak256(&key.to_encoded_point(false).as_bytes()[1..])[12..]))
}

/// What alloy does for a transaction's sender where nobody has turned its feature `secp256k1` on.
fn by_alloy(request: &RecoverRequest) -> Option<Address> {
    // Transactions have no other ids.
    let parity = match request.recovery_id {
        0 => false,
        1 => true,
        _ => return None,
    };
    if request.low_s && request.s > HALF_ORDER {
        return None;
    }
    // Asked for the key: what gives an address is libsecp256k1 where anything that is built along has that feature.
    let key = Signature::new(request.r, request.s, parity).recover_from_prehash(&request.hash).ok()?;
    Some(Address::from_public_key(&key))
}

/// The engines that `choice` asks for.
///
/// # Errors
/// See [`BenchError`].
pub fn lineup(choice: &Choice) -> Result<Lineup<How>, BenchError> {
    let pool = choice.pool()?;
    choice.lineup(BENCH, &ENGINES, BASELINE, |name| match name {
        K256 => Ok(vec![Subject::single(name, How::Peer(by_k256))]),
        ALLOY => Ok(vec![Subject::single(name, How::Peer(by_alloy))]),
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
            let engine = recover::Engine::ALL.into_iter().find(|engine| engine.name() == name);
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

/// The engines on `n` of the signatures, without those whose threads are too many for as few.
pub fn contenders<'a>(subjects: &'a [Subject<How>], signatures: &'a Signatures, n: usize) -> Vec<Contender<'a>> {
    let fits = |subject: &&Subject<How>| n >= PARALLEL_FROM || !matches!(subject.how, How::Cpu(_, Some(_)));
    let contender = |subject: &'a Subject<How>| {
        let call = |n| subject.recover(signatures, n);
        Contender::new(subject.engine, subject.threads, subject.device.as_deref(), call)
    };
    subjects.iter().filter(fits).map(contender).collect()
}

/// Measures the workloads `clean` and `mixed` at every size. `progress` is told what is being done.
///
/// # Errors
/// See [`BenchError`].
pub fn run(options: &Options, progress: &dyn Fn(&str)) -> Result<Report, BenchError> {
    progress("opening the engines");
    let Lineup { subjects, absent } = lineup(&options.choice)?;
    let mut report = Report { left_out: absent, ..Report::default() };
    let sizes = options.ascending();
    let most = sizes.last().copied().unwrap_or(0);
    progress(&format!("signing {most} messages"));
    let all = Signatures::clean(most);
    for workload in ["clean", "mixed"] {
        for &n in &sizes {
            if workload == "mixed" && n < MIXED_FROM {
                let reason = format!("fewer than {MIXED_FROM} signatures: one in a hundred is none");
                report.left_out.push(LeftOut::size(BENCH, workload, n, reason));
                continue;
            }
            let mixed = (workload == "mixed").then(|| Signatures::mixed(&all.first(n)));
            let signatures = mixed.as_ref().unwrap_or(&all);
            let contenders = contenders(&subjects, signatures, n);
            let case = Case { bench: BENCH, workload, n, divisible: true, gas: None, baseline: BASELINE };
            runner::measure(&mut report, &case, &contenders, &options.plan, progress)?;
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backend::{BackendError, BackendKind},
        bench::runner::Plan,
    };
    use alloy_primitives::{B256, U256};

    fn cpu() -> Choice {
        Choice { backend: BackendKind::Cpu, device: None, threads: 2, only: Vec::new() }
    }

    #[test]
    fn every_engine_of_the_library_has_its_fixed_name() {
        assert!(recover::Engine::ALL.iter().all(|engine| ENGINES.contains(&engine.name())));
    }

    /// The peers too, on invalid and exceptional signatures.
    #[test]
    fn every_engine_gives_the_right_answers() {
        let mixed = Signatures::mixed(&Signatures::clean(1000));
        for subject in lineup(&cpu()).unwrap().subjects {
            assert!(subject.recover(&mixed, 1000).is_ok(), "{}", subject.engine);
        }
    }

    #[test]
    fn a_wrong_answer_is_noticed_whoever_gives_it() {
        let mut signatures = Signatures::clean(8);
        signatures.expected[5] = Ok(Address::ZERO);
        for subject in lineup(&cpu()).unwrap().subjects {
            let error = subject.recover(&signatures, 8).unwrap_err();
            assert!(matches!(&error, RunError::Wrong(reason) if reason.starts_with("result 5 is ")), "{error:?}");
            assert!(subject.recover(&signatures, 5).is_ok());
        }
        signatures.expected[5] = Err(RecoverError::NoPoint);
        assert!(lineup(&cpu()).unwrap().subjects.iter().all(|subject| subject.recover(&signatures, 8).is_err()));
    }

    #[test]
    fn a_failing_device_is_not_a_wrong_result() {
        #[derive(Debug)]
        struct Lost;
        impl Backend for Lost {
            fn kind(&self) -> BackendKind {
                BackendKind::Wgpu
            }
            fn name(&self) -> &str {
                "lost"
            }
            fn keccak256(&self, _: &[&[u8]]) -> Result<Vec<B256>, BackendError> {
                Err(BackendError::DeviceLost("gone".into()))
            }
            fn recover(&self, _: &[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, BackendError> {
                Err(BackendError::DeviceLost("gone".into()))
            }
            fn execute(
                &self,
                _: &crate::lower::Batch,
                _: &mut dyn crate::park::Service,
            ) -> Result<crate::backend::Executed, BackendError> {
                Err(BackendError::DeviceLost("gone".into()))
            }
        }
        let lost = Subject::single(WGPU_U32, How::Device(Arc::new(Lost)));
        assert_eq!(lost.recover(&Signatures::clean(1), 1), Err(RunError::Failed("device lost: gone".into())));
    }

    #[test]
    fn peers_take_high_s_where_it_is_allowed() {
        let (request, signer) = (Signatures::clean(1).requests[0], Signatures::clean(1).expected[0]);
        let high = RecoverRequest { s: recover::ORDER - request.s, recovery_id: request.recovery_id ^ 1, ..request };
        for peer in [by_k256, by_alloy] {
            assert_eq!((peer(&request), peer(&high)), (signer.ok(), None));
            assert_eq!(peer(&RecoverRequest { low_s: false, ..high }), signer.ok());
            assert_eq!(peer(&RecoverRequest { r: U256::ZERO, ..request }), None);
        }
    }

    #[test]
    fn rows_are_of_one_thread_and_of_all() {
        let choice = Choice { only: vec![BASELINE.into()], ..cpu() };
        let plan = Plan { rounds: 1, ..Plan::default() };
        let report = run(&Options { choice, sizes: vec![200, 1, 1], plan }, &|_| {}).unwrap();
        let rows: Vec<_> = report.rows.iter().map(|row| (row.workload.as_str(), row.n, row.threads)).collect();
        assert_eq!(rows, [("clean", 1, 1), ("clean", 200, 1), ("clean", 200, 2), ("mixed", 200, 1), ("mixed", 200, 2)]);
        assert!(report.rows.iter().all(|row| row.ratio.is_some() && row.p50.is_some()));
        assert_eq!(report.left_out.len(), 1);
    }
}
