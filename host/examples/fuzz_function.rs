//! Fuzzes functions for inputs that revert, guided by coverage: inputs that take new edges of the control flow are kept
//! and mutated further.
//!
//!     cargo run --release --example fuzz_function          # or: -- wgpu, or LOCKSTEP_BACKEND=wgpu
//!
//! The first target is planted here and reverts on 1 of 2^48 inputs, which chance does not find; each byte that is right
//! takes a new edge. The second is `swap(bool,uint256,uint256)` of a market of the sample block.
#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

use alloy_primitives::{Address, Bytes, U256, hex, keccak256};
use lockstep::{
    backend::BackendKind,
    block_file::BlockFile,
    context::Context,
    coverage::Coverage,
    engine::Engine,
    error::TxError,
    outcome::TxStatus,
    sample::SAMPLE,
    simulate::{Call, Options, Wants},
    state::AccountInfo,
};
use std::{collections::BTreeMap, error::Error, time::Instant};

const SECRET: &[u8; 6] = b"LOCKED";
const BATCH: usize = 1000;
const BATCHES: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().backend(backend()?).build()?;
    let mut file = BlockFile::parse(SAMPLE)?;
    let (planted, code) = (Address::repeat_byte(0x11), planted());
    let code_hash = keccak256(&code);
    file.state.insert_code(code_hash, code);
    file.state.insert_account(planted, AccountInfo { nonce: 1, code_hash, ..AccountInfo::default() });

    let pair = Address::from_word(keccak256("lockstep sample Pair 0"));
    let trader = Address::repeat_byte(0x22);
    // Mappings `balance0Of` and `balance1Of` of the market are in slots 2 and 3; the trader has a little of both.
    for slot in [2_u64, 3].map(U256::from) {
        let slot = keccak256([trader.into_word().0, slot.to_be_bytes()].concat());
        file.state.insert_slot(pair, slot.into(), U256::from(1_000_000));
    }
    let base = Context { env: &file.block.env, state: &file.state };

    let found = fuzz(&engine, &base, &Call::new(trader, planted, vec![0; 8]), 0)?;
    assert!(found.values().any(|input| input.starts_with(SECRET)), "the planted input was not found: {found:?}");

    let swap = [&keccak256("swap(bool,uint256,uint256)")[..4], &[0; 96]].concat();
    let found = fuzz(&engine, &base, &Call::new(trader, pair, swap), 4)?;
    // It wants more than it has.
    let greedy = &keccak256("InsufficientBalance(address,uint256,uint256)")[..4];
    assert!(found.contains_key(greedy), "{found:?}");
    Ok(())
}

/// Of each reason to revert, the first four bytes of what is returned, an input that does. The first `kept` bytes of
/// inputs are those of the seed.
fn fuzz(engine: &Engine, base: &Context<'_>, seed: &Call, kept: usize) -> Result<BTreeMap<Bytes, Bytes>, TxError> {
    let options = Options { wants: Wants { coverage: true, ..Wants::default() }, ..Options::default() };
    let (mut corpus, mut edges, mut found) = (vec![seed.input.clone()], Coverage::default(), BTreeMap::new());
    let (mut random, start) = (1_u64, Instant::now());
    for _ in 0..BATCHES {
        let inputs: Vec<Bytes> = (0..BATCH).map(|_| mutated(&corpus, kept, &mut random)).collect();
        let calls = inputs.iter().map(|input| Call { input: input.clone(), ..seed.clone() }.with_gas(200_000));
        let (answers, _) = engine.simulate_all(base, calls, &options);
        for (input, answer) in inputs.into_iter().zip(answers) {
            let result = answer?;
            if result.status == TxStatus::Revert {
                found.entry(result.output.slice(..result.output.len().min(4))).or_insert_with(|| input.clone());
            }
            if result.coverage.is_some_and(|taken| edges.merge(&taken)) {
                corpus.push(input);
            }
        }
    }
    let (calls, time, edges) = (BATCH * BATCHES, start.elapsed(), edges.count());
    let rate = calls as f64 / time.as_secs_f64();
    println!("{edges} edges by {} inputs: {calls} calls in {time:.1?}, {rate:.0} a second", corpus.len());
    found.iter().for_each(|(reason, input)| println!("  reverts with {reason}: {input}"));
    Ok(found)
}

/// An input of the corpus, one of the newest half of the time, with one to four bytes changed.
fn mutated(corpus: &[Bytes], kept: usize, random: &mut u64) -> Bytes {
    let mut below = |end: usize| {
        // Xorshift (Marsaglia 2003).
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        (*random % end as u64) as usize
    };
    let oldest = below(2) * corpus.len().saturating_sub(4);
    let mut input = corpus[oldest + below(corpus.len() - oldest)].to_vec();
    for _ in 0..=below(4) {
        let at = kept + below(input.len() - kept);
        input[at] = [0, 1, 0xff, below(256) as u8, below(256) as u8][below(5)];
    }
    input.into()
}

/// Stops unless the first bytes of the calldata are the secret ones, and then reverts.
fn planted() -> Bytes {
    let mut code = Vec::new();
    for (index, byte) in (0..).zip(SECRET) {
        let next = code.len() as u8 + 13;
        // PUSH1 0 CALLDATALOAD PUSH1 index BYTE PUSH1 byte EQ PUSH1 next JUMPI STOP JUMPDEST
        let step: [u8; 14] = [0x60, 0, 0x35, 0x60, index, 0x1a, 0x60, *byte, 0x14, 0x60, next, 0x57, 0x00, 0x5b];
        code.extend(step);
    }
    // PUSH1 0 PUSH1 0 REVERT
    code.extend(hex!("60006000fd"));
    code.into()
}

/// From the argument, else from `LOCKSTEP_BACKEND`.
fn backend() -> Result<BackendKind, String> {
    let name = std::env::args().nth(1).or_else(|| std::env::var("LOCKSTEP_BACKEND").ok());
    name.map_or(Ok(BackendKind::Auto), |name| name.parse())
}
