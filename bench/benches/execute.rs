//! ERC-20 transfers on a device, lanes prepared: upload, dispatches and read-back, no recovery, no commit. Each run is
//! checked against revm's sequential outcomes before it is timed. Says where the time goes.

use alloy_primitives::U256;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lockstep::{
    backend::{Backend, BackendKind, Executed, wgpu::WgpuBackend},
    context::{Context, Contexts, PlacedTx, Terms},
    engine::Engine,
    fork::Fork,
    lower::{Batch, CodeArena, Lowering, SnapshotTable},
    park::StateService,
    plan::{self, Lane, LaneClass, LaneLimits, Route},
    report::ExecutionReport,
    state::StateRef,
};
use lockstep_tests::{
    programs::{Calls, Code},
    tokens::transfers,
};
use std::{
    io::{self, Write as _},
    sync::Arc,
    time::Instant,
};

const LANES: u64 = 16_384;

fn say(line: &str) {
    // Nothing can be done if even that fails.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Outcomes of an engine on the device against those of revm alone.
fn check(device: Arc<dyn Backend>, calls: &Calls) {
    let run = |engine: Engine| {
        let mut report = ExecutionReport::default();
        let outcomes = engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, &calls.state, &mut report);
        (outcomes.unwrap_or_else(|error| panic!("{error}")), report)
    };
    let build = |builder: lockstep::engine::EngineBuilder| builder.build().unwrap_or_else(|error| panic!("{error}"));
    let (got, report) = run(build(Engine::builder().with_device(device)));
    let (want, _) = run(build(Engine::builder().backend(BackendKind::Cpu)));
    assert!(got == want, "the device differs from revm");
    assert_eq!(report.device.txs, calls.txs.len() as u64, "{report:?}");
}

fn lanes<'a>(calls: &'a Calls, state: &dyn StateRef) -> Vec<Lane<'a>> {
    let context = Context { env: &calls.env, state };
    let placed = |(tx, sender): (&'a _, &_)| PlacedTx { tx, sender: *sender, context: 0 };
    let placed = calls.txs.iter().zip(&calls.senders).map(placed);
    let lane = |(index, placed)| match plan::route(index, placed, &context, Terms::Transaction, &LaneLimits::SMALL) {
        Ok(Route::Device(lane)) => *lane,
        route => panic!("{route:?}"),
    };
    placed.enumerate().map(lane).collect()
}

fn execute(criterion: &mut Criterion) {
    let device = match WgpuBackend::open(std::env::var("LOCKSTEP_DEVICE").ok().as_deref()) {
        Ok(device) => Arc::new(device),
        Err(error) => return say(&format!("execute: left out: {error}")),
    };
    let calls = transfers(LANES).unwrap_or_else(|error| panic!("{error}"));
    check(Arc::clone(&device) as Arc<dyn Backend>, &calls);
    let lanes = lanes(&calls, &calls.state);
    let (mut codes, mut snapshot) = (CodeArena::default(), SnapshotTable::default());
    let contexts = Contexts::one(&calls.env, &calls.state);
    for lane in &lanes {
        Lowering::prepare(lane, &contexts, &mut codes, &mut snapshot).unwrap_or_else(|error| panic!("{error}"));
    }
    for key in calls.state.hints() {
        snapshot.ensure(key, contexts.state(0), &mut codes).unwrap_or_else(|error| panic!("{error}"));
    }
    let by_index: Vec<&Lane<'_>> = lanes.iter().collect();
    let limits = LaneLimits::of(LaneClass::Small);
    let batch = Lowering::new(calls.env.fork).batch(&contexts, limits, &by_index, &codes, &snapshot);
    let mut run = || {
        let mut service = StateService::new(&*device, &contexts, vec![0; lanes.len()], &mut codes, &mut snapshot);
        once(&device, &batch, &mut service)
    };
    run();
    let start = Instant::now();
    let done = run();
    let all = start.elapsed();
    say(&format!(
        "{}: {LANES} lanes in {all:?}: upload {:?}, {} dispatches {:?}, read-back {:?}",
        device.name(),
        done.upload,
        done.dispatches,
        all.saturating_sub(done.upload + done.read_back),
        done.read_back
    ));
    let mut group = criterion.benchmark_group("execute");
    group.throughput(Throughput::Elements(LANES)).sample_size(10);
    group.bench_function(BenchmarkId::new("erc20_transfer", LANES), |bencher| bencher.iter(&mut run));
    group.finish();
}

fn once(device: &WgpuBackend, batch: &Batch, service: &mut StateService<'_>) -> Executed {
    let done = device.execute(batch, service).unwrap_or_else(|error| panic!("{error}"));
    assert!(done.lanes.iter().all(|lane| lane.state.status == lockstep::abi::STATUS_RETURN), "a lane did not return");
    done
}

/// A loop of `turns` around code that leaves the stack as it was.
fn repeat(turns: u16, body: impl Fn(Code) -> Code) -> Code {
    let start = Code::default().push(U256::from(turns)).op(0x5b);
    let back = start.0.len() - 1;
    body(start).push(U256::ONE).op(0x90).op(0x03).op(0x80).push(U256::from(back)).op(0x57)
}

/// How long a dispatch takes at most where every lane does what takes longest. A slice is to stay below 50 ms.
fn hostile(_: &mut Criterion) {
    let Ok(device) = WgpuBackend::open(std::env::var("LOCKSTEP_DEVICE").ok().as_deref()) else { return };
    let engine = Engine::builder().with_device(Arc::new(device)).build().unwrap_or_else(|error| panic!("{error}"));
    type Body = fn(Code) -> Code;
    let bodies: [(&str, u16, Body); 7] = [
        ("jumps", 2000, |code| code.op(0x5b)),
        ("EXP", 60, |code| code.push(U256::MAX).push(U256::MAX).op(0x0a).op(0x50)),
        ("MULMOD", 200, |code| code.push(U256::MAX).push(U256::MAX).push(U256::MAX - U256::ONE).op(0x09).op(0x50)),
        ("KECCAK256", 60, |code| code.push(U256::from(3900)).push(U256::ONE).op(0x20).op(0x50)),
        ("MCOPY", 60, |code| code.push(U256::from(3900)).push(U256::from(33)).push(U256::ZERO).op(0x5e)),
        ("SLOAD", 20, |code| (0..30).fold(code, |code, slot| code.push(U256::from(slot)).op(0x54).op(0x50))),
        ("STATICCALL", 20, |code| {
            let code = code.push(U256::from(512)).push(U256::ZERO).push(U256::from(512)).push(U256::ZERO);
            code.push(U256::from(2)).op(0x5a).op(0xfa).op(0x50)
        }),
    ];
    for (name, turns, body) in bodies {
        for count in [1000, LANES] {
            let mut calls = Calls::new(Fork::Cancun);
            let code = repeat(turns, body);
            let to = calls.call(code.0.clone(), vec![], 3_000_000).to;
            for _ in 1..count {
                calls.call(code.0.clone(), vec![], 3_000_000).to = to;
            }
            let mut report = ExecutionReport::default();
            let run = engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, &calls.state, &mut report);
            run.unwrap_or_else(|error| panic!("{error}"));
            say(&format!(
                "hostile {name}, {count} lanes: {} dispatches, {:?} in the mean, {:?} at most, {} steps",
                report.dispatches,
                report.time.execute / report.dispatches.max(1) as u32,
                report.longest_dispatch,
                report.steps,
            ));
        }
    }
}

criterion_group!(benches, execute, hostile);
criterion_main!(benches);
