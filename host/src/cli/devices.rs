//! `lockstep devices`: what is there, whether it works, how fast it recovers senders, and what `auto` would pick.

use super::{Common, Exit, Failure, print};
use lockstep::{
    backend::{BackendError, BackendKind},
    engine::Engine,
    recover,
    router::Router,
};
use serde_json::{Map, Value, json};

/// One row: the keys of `devices` in JSON.
struct Device {
    backend: BackendKind,
    /// What `--device` takes; the CPU takes none.
    index: Option<usize>,
    name: String,
    device_type: &'static str,
    driver: String,
    limits: Map<String, Value>,
    /// Where the self-test passed, else what went wrong.
    rates: Result<Rates, String>,
}

/// What was measured.
struct Rates {
    recover_per_s: f64,
    /// The CPU has no sizes from which on it is faster than itself.
    routes: Option<Router>,
}

pub(super) fn run(common: &Common) -> Result<Exit, Failure> {
    let cpu = || common.threads(Engine::builder().backend(BackendKind::Cpu)).build();
    let devices = match common.backend {
        // Without a name for the backend, everything there is; `--device` has no say over the CPU.
        BackendKind::Auto => {
            let cpu = cpu()?;
            let mut devices = vec![cpu_device(&cpu)];
            devices.append(&mut wgpu_devices(&cpu, common.device.as_deref()));
            devices
        }
        BackendKind::Cpu => vec![cpu_device(&common.engine()?)],
        BackendKind::Wgpu => {
            let devices = wgpu_devices(&cpu()?, common.device.as_deref());
            if devices.is_empty() {
                // Its own words for what is missing: no adapter at all, none of this name, or not built in.
                common.engine()?;
            }
            devices
        }
        BackendKind::Cuda | BackendKind::CudaHost => vec![cpu_device(&common.engine()?)],
    };
    let auto = auto(common, &devices)?;
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
    if common.backend != BackendKind::Auto && devices.iter().all(|device| device.rates.is_err()) {
        return Err(BackendError::Unavailable(format!("no {} device passes its self-test", common.backend)).into());
    }
    Ok(Exit::Ok)
}

impl Device {
    fn self_test(&self) -> String {
        self.rates.as_ref().map_or_else(|reason| format!("failed: {reason}"), |_| "passed".into())
    }

    fn json(&self) -> Value {
        let rates = self.rates.as_ref().ok();
        let routes = rates.and_then(|rates| rates.routes);
        json!({
            "backend": self.backend.name(), "index": self.index, "name": self.name, "type": self.device_type,
            "driver": self.driver, "limits": self.limits, "self_test": self.self_test(),
            "recover_per_s": rates.map(|rates| rates.recover_per_s.round()),
            "cross_over_n": routes.and_then(|routes| routes.recover.cross_over()),
            "keccak_blocks_per_s": routes.map(|routes| routes.keccak.device.per_second().round()),
            "keccak_cross_over_blocks": routes.and_then(|routes| routes.keccak.cross_over()),
        })
    }

    fn line(&self) -> String {
        let index = self.index.map_or(String::new(), |index| index.to_string());
        let driver = if self.driver.is_empty() { String::new() } else { format!(", {}", self.driver) };
        let rates = self.rates.as_ref().map_or(String::new(), |Rates { recover_per_s, routes }| {
            let from = |n: Option<usize>| n.map_or("nowhere".to_owned(), |n| format!("from n = {n} on"));
            let wins = routes.map_or(String::new(), |routes| {
                let Router { recover, keccak, simulate } = routes;
                format!(
                    ", faster than the CPU {} (Keccak-256 {}, simulated calls {})",
                    from(recover.cross_over()),
                    from(keccak.cross_over()),
                    from(simulate.cross_over())
                )
            });
            format!(", {recover_per_s:.0} recoveries/s{wins}")
        });
        format!(
            "{:<5} {index:<1} {} ({}{driver}): self-test {}{rates}",
            self.backend.name(),
            self.name,
            self.device_type,
            self.self_test()
        )
    }
}

/// What `auto` picks, and why.
fn auto(common: &Common, devices: &[Device]) -> Result<String, BackendError> {
    let engine = common.threads(Engine::builder().device(common.device.clone())).build()?;
    Ok(match engine.router() {
        Some(_) => format!("cpu and {}: each batch where it ends first", engine.backend_name()),
        None if devices.iter().any(|device| device.backend == BackendKind::Wgpu && device.device_type != "cpu") => {
            "cpu: no GPU passes its self-test and is faster anywhere".into()
        }
        None if devices.iter().any(|device| device.backend == BackendKind::Wgpu) => {
            "cpu: software adapters run only where named".into()
        }
        None => "cpu: nothing else was found".into(),
    })
}

fn cpu_device(engine: &Engine) -> Device {
    let limits = [("threads".to_owned(), json!(engine.threads()))].into_iter().collect();
    let name = format!("{} threads, revm and {}", engine.threads(), recover::Engine::best());
    let cost = engine.calibrate_cpu().map_err(|error| error.to_string());
    let rates = cost.map(|cost| Rates { recover_per_s: cost.per_second(), routes: None });
    Device { backend: BackendKind::Cpu, index: None, name, device_type: "cpu", driver: String::new(), limits, rates }
}

/// Every adapter that `wanted` means, in the order that an index counts in; all without it.
#[cfg(feature = "wgpu")]
fn wgpu_devices(engine: &Engine, wanted: Option<&str>) -> Vec<Device> {
    use lockstep::backend::wgpu::{self, WgpuBackend};

    let rates = |index: usize| {
        // Opening runs the backend's own self-test.
        let backend = WgpuBackend::open(Some(&index.to_string()))?;
        let routes = engine.calibrate(&backend)?;
        Ok(Rates { recover_per_s: routes.recover.device.per_second(), routes: Some(routes) })
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
            rates: rates(index).map_err(|error: BackendError| error.to_string()),
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
fn wgpu_devices(_engine: &Engine, _wanted: Option<&str>) -> Vec<Device> {
    Vec::new()
}
