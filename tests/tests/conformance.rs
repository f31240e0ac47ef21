//! Every opcode, cap and fork on the device against revm: whole outcomes, transaction by transaction.

use libtest_mimic::Failed;
use lockstep::{
    backend::{
        Backend, BackendKind,
        wgpu::{Integers, WgpuBackend},
    },
    engine::Engine,
    fork::Fork,
    report::ExecutionReport,
};
use lockstep_tests::{
    calls, creates,
    harness::{Suite, Target},
    precompiles,
    programs::{self, Calls},
    random::random,
    set_code,
};
use std::{process::ExitCode, sync::Arc};

type Generator = fn(Fork) -> Calls;

const GENERATORS: [(&str, Generator); 10] = [
    ("calls", calls::calls),
    ("creates", creates::creates),
    ("destroys", creates::destroys),
    ("precompiles", precompiles::precompiles),
    ("precompiles_with_code", precompiles::precompiles_with_code),
    ("set_code", set_code::set_code),
    ("arithmetic", programs::arithmetic),
    ("memory", programs::memory),
    ("flow", programs::flow),
    ("state", programs::state),
];

const FORKS: [Fork; 7] =
    [Fork::Berlin, Fork::London, Fork::Merge, Fork::Shanghai, Fork::Cancun, Fork::Prague, Fork::Osaka];

/// Random blocks a fork; more of them were run when they were written.
const SEEDS: u64 = 100;

/// A random block gives the same outcomes, or the same error, as on revm.
fn random_block(engine: &Engine, fork: Fork, seed: u64) -> Result<(), Failed> {
    let calls = random(fork, seed);
    let run = |engine: &Engine| {
        let mut report = ExecutionReport::default();
        engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, &calls.state, &mut report)
    };
    let expected = run(&Engine::builder().backend(BackendKind::Cpu).threads(1).build()?);
    let got = run(engine);
    if got == expected { Ok(()) } else { Err(format!("seed {seed}: {got:?} instead of {expected:?}").into()) }
}

/// Runs the calls on an engine and on revm; gives the report and how many outcomes differ.
fn compare(engine: &Engine, calls: &Calls) -> Result<(ExecutionReport, usize), Failed> {
    let run = |engine: &Engine| {
        let mut report = ExecutionReport::default();
        let outcomes =
            engine.execute_transactions(&calls.env, &calls.txs, &calls.senders, &calls.state, &mut report)?;
        Ok::<_, Failed>((report, outcomes))
    };
    let (report, outcomes) = run(engine)?;
    let (_, expected) = run(&Engine::builder().backend(BackendKind::Cpu).build()?)?;
    let differ = outcomes.iter().zip(&expected).filter(|(outcome, expected)| outcome != expected).count();
    Ok((report, differ))
}

/// One edit of the kernel's text that must not go unnoticed.
const MUTANTS: [(&str, &str, &str); 38] = [
    ("cold_slot_one_gas_less", "if (!warm) { cost += 2000u; }", "if (!warm) { cost += 1999u; }"),
    ("division_drops_a_carry", "let bit = shifted.c | reduced.c;", "let bit = reduced.c;"),
    ("keccak_pads_like_sha3", "(1u << bits) - 1u)) | (1u << bits)", "(1u << bits) - 1u)) | (6u << bits)"),
    ("refund_not_taken_back", "if (now_zero) { refund -= params.clear_refund; }", ""),
    ("caller_keeps_a_32nd", "let kept_lo = (gas_lo >> 6u) | (gas_hi << 26u);", "let kept_lo = gas_lo >> 5u;"),
    ("no_stipend", "gas_lo += 2300u;", "gas_lo += 0u;"),
    ("failed_call_leaves_warm", "& ~ENTRY_REVERTED) | head.y", "& ~(ENTRY_REVERTED - ENTRY_WARM)) | head.y"),
    ("failed_call_leaves_values", "overlay[at + n] = overlay[held + n];", ""),
    ("failed_call_leaves_touched", "& ~ENTRY_REVERTED) | head.y", "& ~(ENTRY_REVERTED - ENTRY_TOUCHED)) | head.y"),
    ("failed_call_leaves_logs", "logs = kept.logs;\n                log_limbs = kept.log_limbs;", ""),
    ("failed_call_leaves_refund", "refund = kept.refund;", ""),
    (
        "static_not_inherited",
        "callee_code.w = frame.mode & (MODE_STATIC | MODE_CREATED);",
        "callee_code.w = frame.mode & MODE_CREATED;",
    ),
    ("halt_leaves_return_data", "gas_hi = 0u;\n                output_len = 0u;", "gas_hi = 0u;"),
    ("halt_leaves_gas", "gas_lo = 0u;\n                gas_hi = 0u;", ""),
    ("zero_call_touches_nothing", "(delegated || !touched)", "false"),
    ("deposit_one_gas_less", "cost += 200u * min", "cost += 199u * min"),
    ("collision_by_code_alone", "header != 0u || any(nonce != vec2<u32>())", "header != 0u"),
    ("creator_keeps_nonce", "if (!refused) { note.x += 1u; }", ""),
    (
        "failed_creation_takes_warmth_back",
        "lanes[frame_row(depth - 1u, lane) + (FRAME_ROW_CALL + 1u) * n].w = journal;",
        "",
    ),
    ("creation_returns_data", "if (status != STATUS_REVERT) { output_len = 0u; }", ""),
    ("failed_call_leaves_created", "& ~ENTRY_REVERTED) | head.y", "& ~(ENTRY_REVERTED - ENTRY_CREATED)) | head.y"),
    ("failed_call_leaves_destroyed", "& ~ENTRY_REVERTED) | head.y", "& ~(ENTRY_REVERTED - ENTRY_DESTROYED)) | head.y"),
    ("failed_call_leaves_nonce", "| head.y, head.zw);", "| head.y, entry.zw);"),
    ("created_account_has_old_storage", "select(0u, MODE_CREATED, callee_created)", "0u"),
    ("old_contracts_die", "(params.rules & RULE_CANCUN) == 0u || (flags & ENTRY_CREATED) != 0u", "true"),
    ("no_refund_for_destruction", "refund += 24000u;", ""),
    ("heir_costs_one_gas_less", "cost += 25000u;", "cost += 24999u;"),
    ("third_precompile_is_untouched", "op == OP_BEQUEST && precompile", "false && precompile"),
    ("sha256_word_one_gas_less", "select(3u, 12u, op == OP_SHA256)", "select(3u, 11u, op == OP_SHA256)"),
    ("sha256_length_in_too_few_blocks", "(len + 8u) / 64u", "(len + 7u) / 64u"),
    ("sha256_drops_the_length", "word = len << 3u;", ""),
    ("sha256_always_aligned", "let shift = (start & 3u) * 8u;", "let shift = 0u;"),
    ("value_to_oneself_skips_the_precompile", "select(OP_CREDIT, then_op, itself)", "select(OP_CREDIT, 0u, itself)"),
    ("recover_one_gas_less", "cost = 3000u;", "cost = 2999u;"),
    ("recover_always_returns", "output_len = answer;", "output_len = 32u;"),
    (
        "recover_takes_31_bytes_of_s",
        "len = min(frame.input_len, 128u);\n    }",
        "len = min(frame.input_len, 127u);\n    }",
    ),
    ("delegation_of_the_transaction_not_seen", "select(info.x, noted.y, (flags & ENTRY_CODE) != 0u)", "info.x"),
    ("dirty_memory", "memory[limb * n + lane] = 0u;", ""),
];

fn main() -> ExitCode {
    let mut suite = Suite::default();
    for (name, generate) in GENERATORS {
        for fork in FORKS {
            suite.each(&format!("{name}::{fork}"), move |engine| {
                let calls = generate(fork);
                let (report, differ) = compare(engine, &calls)?;
                if differ > 0 {
                    return Err(format!("{differ} of {} outcomes differ from revm", calls.txs.len()).into());
                }
                // A suite that falls back everywhere proves nothing.
                let on_device = engine.backend_kind() != BackendKind::Cpu;
                if on_device && report.device.txs * 100 < calls.txs.len() as u64 * 98 {
                    return Err(format!(
                        "only {} of {} ran on the device: {:?}",
                        report.device.txs,
                        calls.txs.len(),
                        report.fallbacks
                    )
                    .into());
                }
                Ok(())
            });
        }
    }
    for fork in FORKS {
        suite.each(&format!("random::{fork}"), move |engine| {
            (0..SEEDS).try_for_each(|seed| random_block(engine, fork, seed))
        });
    }
    for (name, from, to) in MUTANTS {
        suite.on(Target::Wgpu, &format!("broken_kernel::{name}"), move |_| caught(from, to));
    }
    suite.run()
}

/// The comparison above must find a broken kernel.
fn caught(from: &'static str, to: &'static str) -> Result<(), Failed> {
    let device = std::env::var("LOCKSTEP_DEVICE").ok();
    let broken = WgpuBackend::open_edited(device.as_deref(), Integers::Widest, "execute", &|text| {
        let edited = text.replacen(from, to, 1);
        if edited == text { Err(format!("the kernel has no {from:?}")) } else { Ok(edited) }
    })?;
    let device: Arc<dyn Backend> = Arc::new(broken);
    let engine = Engine::builder().with_device(Arc::clone(&device)).build()?;
    // Berlin for the rules that ended since.
    let cases =
        [Fork::Prague, Fork::Berlin].into_iter().flat_map(|fork| GENERATORS.map(|(_, generate)| (fork, generate)));
    for (fork, generate) in cases {
        let calls = generate(fork);
        if compare(&engine, &calls)?.1 == 0 {
            continue;
        }
        // A cross-check sees the same and takes revm's outcomes.
        let checked = Engine::builder().with_device(device).cross_check(true).build()?;
        let (report, differ) = compare(&checked, &calls)?;
        if differ > 0 {
            return Err("a cross-check let a wrong outcome through".into());
        }
        return if report.differences.is_empty() { Err("a cross-check found nothing".into()) } else { Ok(()) };
    }
    Err("no outcome differs from revm's".into())
}
