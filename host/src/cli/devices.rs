//! `lockstep devices`: what is there, whether it works, how fast it recovers senders, and what `auto` would pick.

use super::{Common, Exit, Failure, print};
use alloy_primitives::{Address, U256, keccak256};
use lockstep::{
    backend::{BackendError, BackendKind},
    engine::Engine,
    recover::{RecoverError, RecoverRequest, recover_one},
};
use secp256k1::{Message, SecretKey, ecdsa::RecoverableSignature};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Enough recoveries for a rate that is good to a few percent, few enough for a software adapter.
const SAMPLE: u64 = 1024;

/// One row: the keys of `devices` in JSON.
struct Device {
    backend: BackendKind,
    /// What `--device` takes; the CPU takes none.
    index: Option<usize>,
    name: String,
    device_type: &'static str,
    driver: String,
    limits: Map<String, Value>,
    /// Recoveries a second where the self-test passed, else what went wrong.
    rate: Result<f64, String>,
}

pub(super) fn run(common: &Common) -> Result<Exit, Failure> {
    let devices = match common.backend {
        // Without a name for the backend, everything there is; `--device` has no say over the CPU.
        BackendKind::Auto => {
            let cpu = Engine::builder().backend(BackendKind::Cpu);
            let mut devices = vec![cpu_device(&common.threads(cpu).build()?)];
            devices.append(&mut wgpu_devices(common.device.as_deref()));
            devices
        }
        BackendKind::Cpu => vec![cpu_device(&common.engine()?)],
        BackendKind::Wgpu => {
            let devices = wgpu_devices(common.device.as_deref());
            if devices.is_empty() {
                // Its own words for what is missing: no adapter at all, none of this name, or not built in.
                common.engine()?;
            }
            devices
        }
        BackendKind::Cuda | BackendKind::CudaHost => vec![cpu_device(&common.engine()?)],
    };
    let auto = if devices.iter().any(|device| device.backend == BackendKind::Wgpu) {
        "cpu: named backends only until the router has measured rates"
    } else {
        "cpu: nothing else was found"
    };
    if common.json {
        let rows: Vec<_> = devices.iter().map(Device::json).collect();
        print(json!({"schema": "lockstep-devices/1", "devices": rows, "auto": auto}))?;
    } else {
        for device in &devices {
            print(device.line())?;
        }
        print(format_args!("auto    {auto}"))?;
    }
    // What was asked for by name must work; without a name this is only information.
    if common.backend != BackendKind::Auto && devices.iter().all(|device| device.rate.is_err()) {
        return Err(BackendError::Unavailable(format!("no {} device passes its self-test", common.backend)).into());
    }
    Ok(Exit::Ok)
}

impl Device {
    fn self_test(&self) -> String {
        self.rate.as_ref().map_or_else(|reason| format!("failed: {reason}"), |_| "passed".into())
    }

    fn json(&self) -> Value {
        json!({
            "backend": self.backend.name(), "index": self.index, "name": self.name, "type": self.device_type,
            "driver": self.driver, "limits": self.limits, "self_test": self.self_test(),
            // The router that measures where a device overtakes the CPU is not there yet.
            "recover_per_s": self.rate.as_ref().ok().map(|rate| rate.round()), "cross_over_n": null,
        })
    }

    fn line(&self) -> String {
        let index = self.index.map_or(String::new(), |index| index.to_string());
        let driver = if self.driver.is_empty() { String::new() } else { format!(", {}", self.driver) };
        let rate = self.rate.as_ref().map_or(String::new(), |rate| format!(", {rate:.0} recoveries/s"));
        format!(
            "{:<5} {index:<1} {} ({}{driver}): self-test {}{rate}",
            self.backend.name(),
            self.name,
            self.device_type,
            self.self_test()
        )
    }
}

fn cpu_device(engine: &Engine) -> Device {
    let limits = [("threads".to_owned(), json!(engine.threads()))].into_iter().collect();
    let name = format!("{} threads, revm and libsecp256k1", engine.threads());
    let rate = measure(|requests| Ok(engine.recover(requests)));
    Device { backend: BackendKind::Cpu, index: None, name, device_type: "cpu", driver: String::new(), limits, rate }
}

/// Every adapter that `wanted` means, in the order that an index counts in; all without it.
#[cfg(feature = "wgpu")]
fn wgpu_devices(wanted: Option<&str>) -> Vec<Device> {
    use lockstep::backend::{
        Backend,
        wgpu::{self, WgpuBackend},
    };

    let rate = |index: usize| {
        // Opening runs the backend's own self-test.
        let backend = WgpuBackend::open(Some(&index.to_string())).map_err(|error| error.to_string())?;
        // Not through an engine, which would hide a device that fails: there the CPU takes over.
        measure(|requests| backend.recover(requests).map_err(|error| error.to_string()))
    };
    let device = |(index, adapter): (usize, wgpu::AdapterDescription)| {
        let mut limits: Map<String, Value> =
            adapter.limits.iter().map(|(name, limit)| ((*name).to_owned(), json!(limit))).collect();
        limits.insert("shaderInt64".into(), json!(adapter.int64));
        Device {
            backend: BackendKind::Wgpu,
            index: Some(index),
            name: adapter.name,
            device_type: adapter.device_type,
            driver: adapter.driver,
            limits,
            rate: rate(index),
        }
    };
    let mut adapters: Vec<_> = wgpu::list().into_iter().enumerate().collect();
    if let Some(wanted) = wanted {
        let index = wanted.parse().ok().filter(|index: &usize| *index < adapters.len());
        let part = wanted.to_lowercase();
        adapters.retain(|(at, adapter)| match index {
            Some(index) => *at == index,
            None => adapter.name.to_lowercase().contains(&part),
        });
    }
    adapters.into_iter().map(device).collect()
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_devices(_wanted: Option<&str>) -> Vec<Device> {
    Vec::new()
}

/// Signatures as transactions carry them: a made-up R could be one of the points that kernels leave to the CPU.
fn requests() -> Result<Vec<RecoverRequest>, String> {
    let key = SecretKey::from_secret_bytes([7; 32]).map_err(|error| error.to_string())?;
    let request = |n: u64| {
        let hash = keccak256(n.to_be_bytes());
        let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(hash.0), &key);
        let (id, bytes) = signature.serialize_compact();
        let (r, s) = (U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..]));
        RecoverRequest { hash, r, s, recovery_id: id.to_u8(), low_s: true }
    };
    Ok((0..SAMPLE).map(request).collect())
}

/// Recoveries a second, once the answers are known to be right.
fn measure(
    recover: impl Fn(&[RecoverRequest]) -> Result<Vec<Result<Address, RecoverError>>, String>,
) -> Result<f64, String> {
    let requests = requests()?;
    // The first batch pays for buffers and for what the driver compiles late.
    let warm = recover(&requests)?;
    let start = Instant::now();
    let results = recover(&requests)?;
    let seconds = start.elapsed().as_secs_f64();
    let expected = requests.iter().map(recover_one);
    if warm != results || !results.iter().copied().eq(expected) {
        return Err("recovery differs from libsecp256k1".into());
    }
    Ok(results.len() as f64 / seconds)
}
