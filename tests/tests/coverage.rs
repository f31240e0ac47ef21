//! Which edges lanes note: those that revm takes, lane by lane and merged.

use alloy_primitives::U256;
use libtest_mimic::Failed;
use lockstep::{coverage::Coverage, fork::Fork, plan::LaneClass};
use lockstep_tests::{
    calls,
    covered::{Compared, Expected, compare, expect},
    creates,
    fuzz::{
        edges::edges,
        scene::{FORKS, batch},
        sweep::sweep,
    },
    harness::{self, Suite, Target},
    jumps::jumps,
    programs::{self, Calls, Code},
    set_code::set_code,
    tokens::transfers,
};
use std::process::ExitCode;

/// Batches of random programs, of a seed of their own.
const BATCHES: u64 = 8;
const SEED: u64 = 31;

fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(message().into()) }
}

fn compared(target: Target, class: LaneClass, calls: Calls) -> Result<Compared, Failed> {
    let device = harness::device(target)?.ok_or("no device")?;
    Ok(compare(&*device, class, &expect(calls)?)?)
}

/// Most lanes stand, and take edges.
fn same(target: Target, calls: Calls) -> Result<(), Failed> {
    let compared = compared(target, LaneClass::Large, calls)?;
    ensure(compared.same * 10 >= compared.lanes * 9 && compared.places > 0, || format!("{compared:?}"))
}

fn every_jump(target: Target, fork: Fork) -> Result<(), Failed> {
    let compared = compared(target, LaneClass::Large, jumps(fork))?;
    ensure(compared.lanes > 800 && compared.same == compared.lanes, || format!("{compared:?}"))?;
    ensure(compared.places > compared.lanes as u64 / 2, || format!("{compared:?}"))
}

/// Lanes that meet a cap have taken the first of revm's edges.
fn fall_back(target: Target) -> Result<(), Failed> {
    let mut calls = jumps(Fork::Cancun);
    // A jump, more words than a small lane holds, a jump.
    let code = (0..70).fold(Code(vec![0x60, 3, 0x56, 0x5b]), |code, _| code.push(U256::ONE));
    let code = code.push(U256::from(147)).op(0x56).op(0x5b);
    calls.call(code.0, vec![], 100_000);
    let compared = compared(target, LaneClass::Small, calls)?;
    ensure(compared.fell_back > 0 && compared.same > 800, || format!("{compared:?}"))
}

/// Edges of early slices are there at the end; those of the batch before are not.
fn slices(target: Target) -> Result<(), Failed> {
    let mut calls = Calls::new(Fork::Cancun);
    for turns in [40_000_u16, 1] {
        let [high, low] = turns.to_be_bytes();
        let code = vec![0x60, 3, 0x56, 0x5b, 0x61, high, low, 0x5b, 0x60, 1, 0x90, 0x03, 0x80, 0x60, 7, 0x57, 0x00];
        calls.call(code, vec![], 3_000_000);
    }
    let busy = compared(target, LaneClass::Large, calls)?;
    ensure(busy.same == 2 && busy.places == 5, || format!("{busy:?}"))?;
    let mut calls = Calls::new(Fork::Cancun);
    for _ in 0..3 {
        calls.call(Code::default().push(U256::ONE).keep(0).0, vec![], 100_000);
    }
    let idle = compared(target, LaneClass::Large, calls)?;
    ensure(idle.same == 3 && idle.places == 0, || format!("{idle:?}"))
}

/// An edge more or less is a difference.
fn differences_are_seen(target: Target) -> Result<(), Failed> {
    let device = harness::device(target)?.ok_or("no device")?;
    let mut calls = Calls::new(Fork::Cancun);
    calls.call(vec![0x60, 3, 0x56, 0x5b, 0x00], vec![], 100_000);
    let good = expect(calls)?;
    let mut more = good.edges[0].clone();
    more.add(1, 2, 3);
    for edges in [more, Box::<Coverage>::default()] {
        let wrong = Expected { edges: vec![edges], ..good.clone() };
        ensure(compare(&*device, LaneClass::Large, &wrong).is_err(), || format!("{wrong:?} passes"))?;
    }
    ensure(compare(&*device, LaneClass::Large, &good).is_ok(), || format!("{good:?} does not pass"))
}

fn main() -> ExitCode {
    type Generator = fn(Fork) -> Calls;
    let programs: [(&str, Generator, Fork); 7] = [
        ("calls", calls::calls, Fork::Cancun),
        ("creates", creates::creates, Fork::Shanghai),
        ("destroys", creates::destroys, Fork::Osaka),
        ("set_code", set_code, Fork::Prague),
        ("flow", programs::flow, Fork::Berlin),
        ("edges", edges, Fork::Cancun),
        ("sweep", sweep, Fork::Osaka),
    ];
    let mut suite = Suite::default();
    for target in [Target::Wgpu, Target::WgpuU32] {
        for fork in [Fork::Berlin, Fork::Cancun, Fork::Prague, Fork::Osaka] {
            suite.on(target, &format!("jumps::{fork}"), move |_| every_jump(target, fork));
        }
        for (name, generate, fork) in programs {
            suite.on(target, &format!("programs::{name}"), move |_| {
                let compared = compared(target, LaneClass::Large, generate(fork))?;
                ensure(compared.same * 2 >= compared.lanes && compared.same > 0, || format!("{compared:?}"))
            });
        }
        suite.on(target, "tokens", move |_| same(target, transfers(700)?));
        for number in 0..BATCHES {
            suite.on(target, &format!("vs_revm::{number}"), move |_| same(target, batch(SEED, number, &FORKS)));
        }
        suite.on(target, "fall_back", move |_| fall_back(target));
        suite.on(target, "slices", move |_| slices(target));
        suite.on(target, "differences_are_seen", move |_| differences_are_seen(target));
    }
    suite.run()
}
