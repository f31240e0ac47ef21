//! What a bench ran on.

use serde_json::{Value, json};
use std::{fmt, thread};

/// The machine; none for what it does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The CPU's own name.
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// Main memory, rounded.
    pub memory_gib: Option<u64>,
    /// The adapter that rows ran on.
    pub gpu: Option<String>,
    /// Its API, driver and version.
    pub driver: Option<String>,
    /// Distribution and kernel.
    pub os: String,
}

impl Machine {
    /// This one, with the adapter of the name.
    pub fn read(gpu: Option<&str>) -> Self {
        let (cpu, memory) = cpu_and_memory();
        Self {
            cpu,
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory.map(|bytes| (bytes + (1 << 29)) >> 30),
            gpu: gpu.map(str::to_owned),
            driver: gpu.and_then(driver),
            os: os(),
        }
    }

    /// The object of `lockstep bench --json`.
    pub fn json(&self) -> Value {
        json!({
            "cpu": self.cpu, "cores": self.cores, "memory_gib": self.memory_gib, "gpu": self.gpu, "driver": self.driver,
            "os": self.os,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} cores", self.cpu.as_deref().unwrap_or("unknown CPU"), self.cores)?;
        if let Some(memory) = self.memory_gib {
            write!(f, ", {memory} GiB")?;
        }
        if let Some(gpu) = &self.gpu {
            write!(f, "; {gpu} ({})", self.driver.as_deref().unwrap_or("unknown driver"))?;
        }
        write!(f, "; {}", self.os)
    }
}

#[cfg(feature = "wgpu")]
fn driver(gpu: &str) -> Option<String> {
    crate::backend::wgpu::list().into_iter().find(|adapter| adapter.name == gpu).map(|adapter| adapter.driver)
}

#[cfg(not(feature = "wgpu"))]
fn driver(_gpu: &str) -> Option<String> {
    None
}

/// The value of the first line `KEY : VALUE` with one of the keys.
#[cfg(target_os = "linux")]
fn value<'a>(text: &'a str, keys: &[&str]) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| keys.contains(&key.trim())).map(|(_, value)| value.trim())
}

#[cfg(target_os = "linux")]
fn cpu_and_memory() -> (Option<String>, Option<u64>) {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    // Arm's kernels name the board at most.
    let cpu = value(&read("/proc/cpuinfo"), &["model name", "Model"]).map(str::to_owned);
    let memory = read("/proc/meminfo");
    let kib = value(&memory, &["MemTotal"]).and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
    (cpu, kib.map(|kib| kib << 10))
}

#[cfg(target_os = "macos")]
fn cpu_and_memory() -> (Option<String>, Option<u64>) {
    let sysctl = |name| {
        let output = std::process::Command::new("sysctl").args(["-n", name]).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
    };
    (sysctl("machdep.cpu.brand_string"), sysctl("hw.memsize").and_then(|bytes| bytes.parse().ok()))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn cpu_and_memory() -> (Option<String>, Option<u64>) {
    // Windows sets it for every process.
    (std::env::var("PROCESSOR_IDENTIFIER").ok(), None)
}

fn os() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).map(|name| name.trim_matches('"'));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let parts = [name.unwrap_or(""), std::env::consts::OS, kernel.trim(), std::env::consts::ARCH];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_cores_and_a_system() {
        let machine = Machine::read(None);
        assert!(machine.cores > 0 && !machine.os.is_empty() && machine.gpu.is_none(), "{machine:?}");
        assert!(machine.json()["gpu"].is_null());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn values_stand_behind_colons() {
        let text = "processor\t: 0\nmodel name\t: A CPU: fast\n\nMemTotal:  2048 kB\n";
        assert_eq!(value(text, &["Model", "model name"]), Some("A CPU: fast"));
        assert_eq!((value(text, &["MemTotal"]), value(text, &["none"])), (Some("2048 kB"), None));
    }
}
