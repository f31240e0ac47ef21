//! Versions, devices, handles, and the text of the last error.
#![expect(unsafe_code, reason = "functions of C")]

use crate::{
    border::{self, guarded, on_handle, quietly},
    caller::Caller,
    fault::{Fault, Outcome},
    handles,
    types::{
        LOCKSTEP_ABI_VERSION, LOCKSTEP_CROSS_CHECK, lockstep_backend, lockstep_bytes, lockstep_code, lockstep_device,
        lockstep_handle, lockstep_options,
    },
};
use lockstep::{backend::BackendKind, engine::Engine, recover};
use std::{ffi::c_char, ptr, str};
#[cfg(unix)]
use std::{ffi::c_int, sync::OnceLock};

/// The version of the ABI that this library speaks.
#[unsafe(no_mangle)]
pub extern "C" fn lockstep_abi_version() -> u32 {
    LOCKSTEP_ABI_VERSION
}

/// Starts an engine. `abi_version` is the caller's LOCKSTEP_ABI_VERSION; without `options` (null) all is by default. Sets `handle`, to zero after any
/// other code than OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_create(
    abi_version: u32,
    options: *const lockstep_options,
    handle: *mut lockstep_handle,
) -> lockstep_code {
    // SAFETY: the contract of lockstep.h.
    let caller = unsafe { Caller::trusted() };
    guarded(|| {
        caller.write(handle, 0, "handle")?;
        if abi_version != LOCKSTEP_ABI_VERSION {
            let reason = format!("the caller was built for {abi_version}, the library is {LOCKSTEP_ABI_VERSION}");
            return Err(Fault::of(lockstep_code::VersionMismatch, "abi_version", reason));
        }
        let options = if options.is_null() { DEFAULTS } else { caller.read(options, "options")? };
        watch_forks()?;
        let created = handles::insert(create(caller, &options)?);
        caller.write(handle, created, "handle")
    })
}

/// From now on a forked process knows that it is one: before the first handle.
#[cfg(unix)]
fn watch_forks() -> Outcome {
    type Handler = Option<extern "C" fn()>;
    // Here, where the header's generator does not take it for Lockstep's.
    unsafe extern "C" {
        /// POSIX: has these called in every fork(), before it and after it in the parent and in the child. Zero, or an error's number.
        fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> c_int;
    }
    static WATCHED: OnceLock<c_int> = OnceLock::new();
    // SAFETY: the handler may run between fork() and exec() of any process: it only raises a number. Its code is there as long as the
    // process, for the library is never unloaded.
    match WATCHED.get_or_init(|| unsafe { pthread_atfork(None, None, Some(handles::forked)) }) {
        0 => Ok(()),
        error => Err(Fault::new(lockstep_code::Failed, format_args!("pthread_atfork: error {error}"))),
    }
}

#[cfg(not(unix))]
fn watch_forks() -> Outcome {
    Ok(())
}

const DEFAULTS: lockstep_options = lockstep_options {
    backend: lockstep_backend::Auto as u32,
    flags: 0,
    threads: 0,
    device: lockstep_bytes { data: ptr::null(), len: 0 },
};

/// Threads that an engine may have: more are a mistake, and would take the machine down.
const MOST_THREADS: usize = 4096;

fn create(caller: Caller, options: &lockstep_options) -> Outcome<Engine> {
    let wrong = |field, reason: &str| Err(Fault::of(lockstep_code::BadArgument, field, reason));
    let Some(backend) = BACKENDS.iter().find(|(number, _)| *number as u32 == options.backend) else {
        return wrong("options.backend", "no lockstep_backend");
    };
    if options.flags & !LOCKSTEP_CROSS_CHECK != 0 {
        return wrong("options.flags", "an unknown flag");
    }
    if options.threads > MOST_THREADS {
        return wrong("options.threads", "more than 4096");
    }
    let Ok(device) = str::from_utf8(caller.bytes(&options.device, "options.device")?) else {
        return wrong("options.device", "not UTF-8");
    };
    let engine = Engine::builder()
        .backend(backend.1)
        .device((!device.is_empty()).then(|| device.to_owned()))
        .threads(options.threads)
        .cross_check(options.flags & LOCKSTEP_CROSS_CHECK != 0);
    Ok(engine.build()?)
}

const BACKENDS: [(lockstep_backend, BackendKind); 5] = [
    (lockstep_backend::Auto, BackendKind::Auto),
    (lockstep_backend::Cpu, BackendKind::Cpu),
    (lockstep_backend::Wgpu, BackendKind::Wgpu),
    (lockstep_backend::Cuda, BackendKind::Cuda),
    (lockstep_backend::CudaHost, BackendKind::CudaHost),
];

/// Ends an engine, and with it what is kept under its tokens. Its number is never used again.
#[unsafe(no_mangle)]
pub extern "C" fn lockstep_destroy(handle: lockstep_handle) -> lockstep_code {
    guarded(|| handles::remove(handle))
}

/// Frees what is kept under a token that nobody will fetch.
#[unsafe(no_mangle)]
pub extern "C" fn lockstep_discard(handle: lockstep_handle, token: u64) -> lockstep_code {
    on_handle(handle, |entry| entry.discard(token))
}

/// What there is to run on: the CPU, and every adapter. Sets `count` to their number; if it is more than `capacity`, nothing else is written and the
/// code is TOO_SMALL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_devices(
    devices: *mut lockstep_device,
    capacity: usize,
    count: *mut usize,
) -> lockstep_code {
    // SAFETY: the contract of lockstep.h.
    let caller = unsafe { Caller::trusted() };
    guarded(|| {
        caller.write(count, 0, "count")?;
        let found = list();
        caller.write(count, found.len(), "count")?;
        if found.len() > capacity {
            let reason = format!("room for {capacity} of {}", found.len());
            return Err(Fault::of(lockstep_code::TooSmall, "devices", reason));
        }
        for (index, device) in found.into_iter().enumerate() {
            caller.write(devices.wrapping_add(index), device, "devices")?;
        }
        Ok(())
    })
}

fn list() -> Vec<lockstep_device> {
    let cpu = format!("revm and {}", recover::Engine::best());
    let mut devices = vec![device(lockstep_backend::Cpu, 0, "cpu", &cpu, "")];
    devices.append(&mut adapters());
    devices
}

#[cfg(feature = "wgpu")]
fn adapters() -> Vec<lockstep_device> {
    let adapters = lockstep::backend::wgpu::list().into_iter().enumerate();
    let device = |(index, adapter): (usize, lockstep::backend::wgpu::AdapterDescription)| {
        device(lockstep_backend::Wgpu, index, adapter.device_type, &adapter.name, &adapter.driver)
    };
    adapters.map(device).collect()
}

#[cfg(not(feature = "wgpu"))]
fn adapters() -> Vec<lockstep_device> {
    Vec::new()
}

fn device(backend: lockstep_backend, index: usize, kind: &str, name: &str, driver: &str) -> lockstep_device {
    lockstep_device {
        backend: backend as u32,
        index: index as u32,
        kind: fixed_text(kind),
        name: fixed_text(name),
        driver: fixed_text(driver),
    }
}

fn fixed_text<const N: usize>(text: &str) -> [c_char; N] {
    let mut fixed = [0; N];
    let end = (0..=text.len().min(N - 1)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    for (to, byte) in fixed.iter_mut().zip(&text.as_bytes()[..end]) {
        *to = *byte as c_char;
    }
    fixed
}

/// Why a call failed, or the first bad item of a batch: with zero as `handle` the last one of this thread that did, else the last one with that handle,
/// by whatever thread. Writes up to `capacity` bytes of UTF-8, the last of them zero, and gives the number that the whole takes; 1 if there is nothing to
/// say. Asking changes no text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_last_error(handle: lockstep_handle, text: *mut c_char, capacity: usize) -> usize {
    // SAFETY: the contract of lockstep.h.
    let caller = unsafe { Caller::trusted() };
    // Whoever asks wants the texts as they are: asking for a handle that is none changes none.
    let last = quietly(|| match handle {
        0 => Ok(border::last_error()),
        handle => Ok(handles::get(handle)?.last_error()),
    });
    caller.text(&last.unwrap_or_default(), text.cast(), capacity)
}
