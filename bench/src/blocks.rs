//! Mainnet blocks on every backend, from raw transactions to receipts, recovery included.

use lockstep::{
    backend::{Backend, BackendError, BackendKind, wgpu::WgpuBackend},
    bench::{
        LeftOut,
        runner::{Case, Contender, RunError, timed},
    },
    block_file::BlockFile,
    compare::compare,
    engine::{BlockOutput, Engine},
    fallback::FallbackReason,
};
use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The name in rows: recovery counts.
pub const BENCH: &str = "blocks-e2e";

/// The CPU on all cores.
pub const BASELINE: &str = "cpu";

/// A backend under test. A failing device is an error here, where an engine would let the CPU take over: a row tells of one backend.
#[derive(Debug)]
pub struct Subject {
    engine: Engine,
    device: Option<Arc<dyn Backend>>,
}

impl Subject {
    /// The CPU on all cores.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] where threads cannot be started.
    pub fn cpu() -> Result<Self, BackendError> {
        Ok(Self { engine: Engine::builder().backend(BackendKind::Cpu).build()?, device: None })
    }

    /// The adapter that `LOCKSTEP_DEVICE` names, else the best one.
    ///
    /// # Errors
    /// Any [`BackendError`]: there is none, or it fails its self-test.
    pub fn wgpu() -> Result<Self, BackendError> {
        let device: Arc<dyn Backend> = Arc::new(WgpuBackend::open(env::var("LOCKSTEP_DEVICE").ok().as_deref())?);
        Ok(Self { engine: Engine::builder().with_device(Arc::clone(&device)).build()?, device: Some(device) })
    }

    /// Every one of this machine, and what is missing.
    ///
    /// # Errors
    /// The CPU's threads cannot be started.
    pub fn all() -> Result<(Vec<Self>, Vec<LeftOut>), BackendError> {
        let mut subjects = vec![Self::cpu()?];
        let mut absent = Vec::new();
        match Self::wgpu() {
            Ok(subject) => subjects.push(subject),
            Err(error) => absent.push(LeftOut {
                bench: BENCH,
                workload: None,
                engine: Some(BackendKind::Wgpu.name()),
                n: None,
                threads: None,
                reason: error.to_string(),
                failed: false,
            }),
        }
        Ok((subjects, absent))
    }

    /// Executes once and compares with what the file promises: the time without the comparison.
    ///
    /// # Errors
    /// The block is bad, the device failed or ran nothing of the block, or the result differs.
    pub fn execute(&self, file: &BlockFile) -> Result<Duration, RunError> {
        timed(|| self.run(file), |output| compare(file, output).map_or(Ok(()), |mismatch| Err(mismatch.to_string())))
    }

    fn run(&self, file: &BlockFile) -> Result<BlockOutput, RunError> {
        let output = self.engine.execute_block(&file.block, &file.state);
        let output = output.map_err(|error| RunError::Failed(error.to_string()))?;
        if output.report.fallbacks.contains_key(&FallbackReason::DeviceError) {
            return Err(RunError::Failed("the device failed".into()));
        }
        if self.device.is_some() && output.report.device.txs == 0 {
            return Err(RunError::Unfit("nothing of it runs on the device".into()));
        }
        Ok(output)
    }
}

/// A block as a workload: it runs in full or not at all.
pub fn case<'a>(file: &BlockFile, number: &'a str) -> Case<'a> {
    let n = file.block.transactions.len();
    Case { bench: BENCH, workload: number, n, divisible: false, gas: Some(file.expected.gas_used), baseline: BASELINE }
}

/// Every subject on a block.
pub fn contenders<'a>(subjects: &'a [Subject], file: &'a BlockFile) -> Vec<Contender<'a>> {
    let contender = |subject: &'a Subject| {
        let device = subject.device.as_ref().map(|device| device.name());
        Contender::new(subject.engine.backend_kind().name(), subject.engine.threads(), device, |_| {
            subject.execute(file)
        })
    };
    subjects.iter().map(contender).collect()
}

/// The shared block files: under `LOCKSTEP_DATA`, else under `shared` beside the workspace. Empty where there are none.
pub fn files() -> Vec<PathBuf> {
    let root = env::var_os("LOCKSTEP_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let entries = root.join("blocks").read_dir().into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(".json.zst")).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep::sample::SAMPLE;

    #[test]
    fn a_wrong_block_is_noticed() {
        let mut file = BlockFile::parse(SAMPLE).unwrap();
        let cpu = Subject::cpu().unwrap();
        assert!(cpu.execute(&file).is_ok());
        file.expected.gas_used += 1;
        assert!(matches!(cpu.execute(&file), Err(RunError::Wrong(_))));
    }
}
