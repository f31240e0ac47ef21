//! Which engines a bench measures: all that the command line allows, by their fixed names, and for the rest the reason.

use super::{BenchError, LeftOut};
use crate::{
    backend::{Backend, BackendError, BackendKind},
    engine::Engine,
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::Arc;

/// The engine that is whatever `--backend auto` picks.
pub(super) const AUTO: &str = "auto";
/// A device in the kernels that suit it best.
pub(super) const WGPU: &str = "wgpu";
pub(super) const WGPU_U64: &str = "wgpu-u64";
pub(super) const WGPU_U32: &str = "wgpu-u32";

/// What the command line says about engines.
#[derive(Clone, Debug)]
pub struct Choice {
    /// `auto` allows every engine, a named backend only its own.
    pub backend: BackendKind,
    /// The adapter: part of its name, or its index.
    pub device: Option<String>,
    /// Threads of the rows that use all; at least one.
    pub threads: usize,
    /// Only these engines, unless empty. The baseline is measured all the same.
    pub only: Vec<String>,
}

/// An engine as it is measured: one row a workload and size.
#[derive(Clone, Debug)]
pub struct Subject<H> {
    /// Its fixed name.
    pub engine: &'static str,
    /// CPU threads that it uses; of a device, those that drive it.
    pub threads: usize,
    /// The adapter's name, of a device.
    pub device: Option<String>,
    /// How it runs.
    pub how: H,
}

/// The engines that are measured.
#[derive(Clone, Debug)]
pub struct Lineup<H> {
    /// In the order of their names.
    pub subjects: Vec<Subject<H>>,
    /// Those that are not on this machine, each with the reason.
    pub absent: Vec<LeftOut>,
}

impl<H> Subject<H> {
    /// One that runs on the calling thread.
    pub(super) const fn single(engine: &'static str, how: H) -> Self {
        Self { engine, threads: 1, device: None, how }
    }
}

impl Choice {
    /// Opens every engine among `names` that is asked for, and the baseline.
    ///
    /// # Errors
    /// [`BenchError::Usage`] where the backend excludes an engine that is named; [`BenchError::Backend`] where something
    /// named is not there.
    pub(super) fn lineup<H>(
        &self,
        bench: &'static str,
        names: &[&'static str],
        baseline: &'static str,
        open: impl Fn(&'static str) -> Result<Vec<Subject<H>>, String>,
    ) -> Result<Lineup<H>, BenchError> {
        self.check()?;
        let mut lineup = Lineup { subjects: Vec::new(), absent: Vec::new() };
        for &name in names {
            if name != baseline && !self.wants(name) {
                continue;
            }
            match open(name) {
                Ok(mut subjects) => lineup.subjects.append(&mut subjects),
                Err(reason) if self.names(name) => {
                    return Err(BackendError::Unavailable(format!("{name}: {reason}")).into());
                }
                Err(reason) => lineup.absent.push(LeftOut::engine(bench, name, reason)),
            }
        }
        let found = lineup.subjects.iter().any(|subject| kind(subject.engine) == self.backend);
        if let (BackendKind::Wgpu, false, Some(first)) = (self.backend, found, lineup.absent.first()) {
            return Err(BackendError::Unavailable(first.reason.clone()).into());
        }
        Ok(lineup)
    }

    /// CPU threads for the rows that use all; none where all are one.
    pub(super) fn pool(&self) -> Result<Option<Arc<ThreadPool>>, BenchError> {
        if self.threads < 2 {
            return Ok(None);
        }
        let pool = ThreadPoolBuilder::new().num_threads(self.threads).build();
        let pool = pool.map_err(|cause| BackendError::Unavailable(format!("CPU threads: {cause}")))?;
        Ok(Some(Arc::new(pool)))
    }

    /// An engine of the library as its users build it.
    pub(super) fn auto(&self) -> Result<Arc<Engine>, String> {
        let builder = Engine::builder().backend(BackendKind::Auto).device(self.device.clone()).threads(self.threads);
        builder.build().map(Arc::new).map_err(|error| error.to_string())
    }

    /// The device of `wgpu`, `wgpu-u64` or `wgpu-u32`, which has passed its self-test.
    #[cfg(feature = "wgpu")]
    pub(super) fn wgpu(&self, name: &str) -> Result<Arc<dyn Backend>, String> {
        use crate::backend::wgpu::{Integers, WgpuBackend};

        let integers = if name == WGPU_U32 { Integers::Portable } else { Integers::Widest };
        let device = WgpuBackend::open_variant(self.device.as_deref(), integers).map_err(|error| error.to_string())?;
        if name == WGPU_U64 && !device.has_int64() {
            return Err(format!("{} has no 64-bit integers in shaders", device.name()));
        }
        Ok(Arc::new(device))
    }

    /// The same in a build without wgpu.
    #[cfg(not(feature = "wgpu"))]
    pub(super) fn wgpu(&self, _name: &str) -> Result<Arc<dyn Backend>, String> {
        Err("wgpu is not part of this build".into())
    }

    /// Whether the choice can be met at all.
    fn check(&self) -> Result<(), BenchError> {
        let absent = matches!(self.backend, BackendKind::Cuda | BackendKind::CudaHost);
        if absent || (self.backend == BackendKind::Cpu && self.device.is_some()) {
            // Its own words for what is missing.
            Engine::builder().backend(self.backend).device(self.device.clone()).build()?;
        }
        match self.only.iter().find(|name| !self.allows(name)) {
            Some(name) => {
                Err(BenchError::Usage(format!("--backend {} leaves {name} out: name one of them", self.backend)))
            }
            None => Ok(()),
        }
    }

    fn allows(&self, engine: &str) -> bool {
        self.backend == BackendKind::Auto || kind(engine) == self.backend
    }

    fn wants(&self, engine: &str) -> bool {
        self.allows(engine) && (self.only.is_empty() || self.only.iter().any(|name| name == engine))
    }

    /// Whether the user expects it to be there: by its own name, or by an adapter's.
    fn names(&self, engine: &str) -> bool {
        self.only.iter().any(|name| name == engine) || (self.device.is_some() && matches!(engine, WGPU | WGPU_U32))
    }
}

/// The backend that an engine belongs to.
fn kind(engine: &str) -> BackendKind {
    match engine {
        AUTO => BackendKind::Auto,
        WGPU | WGPU_U64 | WGPU_U32 => BackendKind::Wgpu,
        _ => BackendKind::Cpu,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["fast", "plain", "wgpu-u32", "auto"];

    fn choice(backend: BackendKind, only: &[&str]) -> Choice {
        Choice { backend, device: None, threads: 1, only: only.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// Everything is there but what `absent` names.
    fn open(choice: &Choice, absent: &'static [&'static str]) -> Result<Lineup<()>, BenchError> {
        choice.lineup("test", &NAMES, "plain", |name| match absent.contains(&name) {
            true => Err("not here".into()),
            false => Ok(vec![Subject::single(name, ())]),
        })
    }

    fn engines(lineup: Result<Lineup<()>, BenchError>) -> Vec<&'static str> {
        lineup.unwrap().subjects.iter().map(|subject| subject.engine).collect()
    }

    #[test]
    fn the_baseline_is_always_measured() {
        assert_eq!(engines(open(&choice(BackendKind::Auto, &[]), &[])), NAMES);
        assert_eq!(engines(open(&choice(BackendKind::Cpu, &[]), &[])), ["fast", "plain"]);
        assert_eq!(engines(open(&choice(BackendKind::Wgpu, &[]), &[])), ["plain", "wgpu-u32"]);
        assert_eq!(engines(open(&choice(BackendKind::Auto, &["auto"]), &[])), ["plain", "auto"]);
    }

    #[test]
    fn what_is_named_must_be_there() {
        let lineup = open(&choice(BackendKind::Auto, &[]), &["fast", "wgpu-u32"]).unwrap();
        assert_eq!(
            lineup.absent.iter().filter_map(|left_out| left_out.engine).collect::<Vec<_>>(),
            ["fast", "wgpu-u32"]
        );
        for named in [choice(BackendKind::Auto, &["fast"]), choice(BackendKind::Wgpu, &[])] {
            assert!(matches!(open(&named, &["fast", "wgpu-u32"]), Err(BenchError::Backend(_))));
        }
        let adapter = Choice { device: Some("none".into()), ..choice(BackendKind::Auto, &[]) };
        assert!(matches!(open(&adapter, &["wgpu-u32"]), Err(BenchError::Backend(_))));
        for absent in [BackendKind::Cuda, BackendKind::CudaHost] {
            assert!(matches!(open(&choice(absent, &[]), &[]), Err(BenchError::Backend(_))));
        }
    }

    #[test]
    fn a_contradiction_is_a_mistake() {
        for named in [choice(BackendKind::Cpu, &["auto"]), choice(BackendKind::Wgpu, &["wgpu-u32", "fast"])] {
            assert!(matches!(open(&named, &[]), Err(BenchError::Usage(_))));
        }
    }
}
