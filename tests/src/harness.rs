//! What every suite needs: the data, a backend of each kind, and skips that say why.

use libtest_mimic::{Arguments, Failed, Trial};
use lockstep::{
    backend::{
        Backend, BackendKind,
        wgpu::{Integers, WgpuBackend},
    },
    engine::Engine,
};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, OnceLock},
};

/// A backend, or a variant of one, that suites run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// revm and libsecp256k1; always there.
    Cpu,
    /// The adapter's best kernels.
    Wgpu,
    /// The kernels without 64-bit integers.
    WgpuU32,
}

impl Target {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Wgpu, Self::WgpuU32];

    /// The name that tests carry in their own.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::WgpuU32 => "wgpu-u32",
        }
    }

    /// What `LOCKSTEP_REQUIRE` calls it.
    pub const fn requirement(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu | Self::WgpuU32 => "wgpu",
        }
    }
}

/// Whether `LOCKSTEP_REQUIRE` (comma-separated, set by CI) turns the skip named into a failure.
pub fn is_required(what: &str) -> bool {
    env::var("LOCKSTEP_REQUIRE").is_ok_and(|list| list.split(',').any(|name| name.trim() == what))
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A file or folder of the shared data: under `LOCKSTEP_DATA`, else under `shared` beside the workspace.
///
/// # Errors
/// Why it is not there.
pub fn data(path: &str) -> Result<PathBuf, String> {
    let root = env::var_os("LOCKSTEP_DATA").map_or_else(|| workspace().join("../shared"), PathBuf::from);
    let full = root.join(path);
    if full.exists() { Ok(full) } else { Err(format!("no {}: set LOCKSTEP_DATA", full.display())) }
}

/// A zstd stream with the long windows that the suites use.
///
/// # Errors
/// The file cannot be opened.
pub fn unpacked(path: &Path) -> io::Result<impl io::Read + use<>> {
    let mut decoder = zstd::Decoder::new(fs::File::open(path)?)?;
    decoder.window_log_max(27)?;
    Ok(decoder)
}

/// Every regular file of a `.tar.zst`, as (path, contents).
///
/// # Errors
/// The archive cannot be read.
pub fn archive(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(unpacked(path)?).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = entry.path()?.display().to_string();
            let mut contents = Vec::new();
            io::Read::read_to_end(&mut entry, &mut contents)?;
            files.push((name, contents));
        }
    }
    Ok(files)
}

/// The device of a target, opened once a process; `None` for the CPU.
///
/// # Errors
/// Why it is not there.
pub fn device(target: Target) -> Result<Option<Arc<dyn Backend>>, String> {
    type Opened = OnceLock<Result<Arc<dyn Backend>, String>>;
    static WIDEST: Opened = OnceLock::new();
    static PORTABLE: Opened = OnceLock::new();
    let (slot, integers) = match target {
        Target::Cpu => return Ok(None),
        Target::Wgpu => (&WIDEST, Integers::Widest),
        Target::WgpuU32 => (&PORTABLE, Integers::Portable),
    };
    let open = || {
        let device = env::var("LOCKSTEP_DEVICE").ok();
        let backend = WgpuBackend::open_variant(device.as_deref(), integers).map_err(|error| error.to_string())?;
        Ok(Arc::new(backend) as Arc<dyn Backend>)
    };
    slot.get_or_init(open).clone().map(Some)
}

/// An engine on a target.
///
/// # Errors
/// Why there is none.
pub fn engine(target: Target) -> Result<Engine, String> {
    let builder = match device(target)? {
        Some(device) => Engine::builder().with_device(device),
        None => Engine::builder().backend(BackendKind::Cpu),
    };
    builder.build().map_err(|error| error.to_string())
}

/// The trials of one test program.
#[derive(Default)]
pub struct Suite {
    trials: Vec<Trial>,
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite").field("trials", &self.trials.len()).finish()
    }
}

impl Suite {
    /// A test that needs no backend.
    pub fn test(&mut self, name: impl Into<String>, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) {
        self.trials.push(Trial::test(name, run));
    }

    /// A test shown as ignored for a reason, or failing where `what` is required.
    pub fn skip(&mut self, name: impl Into<String>, what: &str, reason: String) {
        let name = name.into();
        if is_required(what) {
            self.trials.push(Trial::test(name, move || Err(Failed::from(reason))));
        } else {
            self.trials
                .push(Trial::test(name, || Ok(())).with_kind(format!("skipped: {reason}")).with_ignored_flag(true));
        }
    }

    /// A test on one target, or a skip where it is not there.
    pub fn on(&mut self, target: Target, name: &str, run: impl FnOnce(&Engine) -> Result<(), Failed> + Send + 'static) {
        let name = format!("{}::{name}", target.name());
        match device(target) {
            Ok(_) => self.test(name, move || run(&engine(target)?)),
            Err(reason) => self.skip(name, target.requirement(), reason),
        }
    }

    /// The same test once a target, the target's name in its own.
    pub fn each(&mut self, name: &str, run: impl Fn(&Engine) -> Result<(), Failed> + Clone + Send + 'static) {
        for target in Target::ALL {
            self.on(target, name, run.clone());
        }
    }

    /// The same, for a test that reads shared data.
    pub fn each_on(
        &mut self,
        name: &str,
        path: &str,
        run: impl Fn(&Engine, &Path) -> Result<(), Failed> + Clone + Send + 'static,
    ) {
        match data(path) {
            Ok(path) => self.each(name, move |engine| run(engine, &path)),
            Err(reason) => self.skip(name, "data", reason),
        }
    }

    /// Runs what the command line selects.
    pub fn run(self) -> ExitCode {
        libtest_mimic::run(&Arguments::from_args(), self.trials).exit_code()
    }
}
