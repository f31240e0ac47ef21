//! Finds the positions of a lending pool that can be liquidated, among 50,000: as the price stands, and were it a tenth
//! lower.
//!
//!     cargo run --release --example find_liquidatable      # or: -- wgpu, or LOCKSTEP_BACKEND=wgpu
//!
//! One call of `healthFactor(address)` a position. The lower price is a state override that all calls of the second scan
//! share, as in `eth_call`: the state itself stays as it is.
#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

use alloy_primitives::{Address, U256, keccak256};
use lockstep::{
    backend::BackendKind,
    block_file::BlockFile,
    context::Context,
    engine::Engine,
    sample::SAMPLE,
    simulate::{AccountOverride, Call, Options, StateOverrides, StorageOverride},
};
use std::{collections::BTreeMap, error::Error, sync::Arc, time::Instant};

const POSITIONS: u64 = 50_000;

// Storage of the pool, in the order of its declarations: `owner` has slot 0; `uint256 price` slot 1; `uint128 index` the
// low half of slot 2 and `uint64 accruedAt` the 64 bits above it; `cash` slot 3; the mapping `positionOf` starts in 4. A
// position is one slot: `uint128 collateral` in the low half, `uint128 scaledDebt` in the high one.
const PRICE: U256 = U256::from_limbs([1, 0, 0, 0]);
const INDEX: U256 = U256::from_limbs([2, 0, 0, 0]);
const POSITION_OF: U256 = U256::from_limbs([4, 0, 0, 0]);

/// Fixed point of amounts and of rates.
const WAD: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().backend(backend()?).build()?;
    let mut file = BlockFile::parse(SAMPLE)?;
    let pool = Address::from_word(keccak256("lockstep sample Lending"));
    let ray = WAD * U256::from(1_000_000_000);

    // Collateral from 1 to 100, debts from none to so much that some are under water.
    let account = |index: u64| Address::from_word(keccak256(index.to_be_bytes()));
    let collateral = |index: u64| WAD * U256::from(1 + index % 100);
    let scaled_debt = |index: u64| collateral(index) * U256::from(index * 7919 % 1700) / U256::from(1000);
    for index in 0..POSITIONS {
        let slot = keccak256([account(index).into_word().0, POSITION_OF.to_be_bytes()].concat());
        file.state.insert_slot(pool, slot.into(), collateral(index) | scaled_debt(index) << 128);
    }
    let base = Context { env: &file.block.env, state: &file.state };

    // The contract's own arithmetic: interest of 5 % a year since the pool last looked, debts rounded up, and four fifths
    // of the collateral's value over the debt.
    let packed = base.state.storage(&pool, &INDEX)?;
    let kept = packed & U256::from(u128::MAX);
    let elapsed = U256::from(base.env.timestamp) - (packed >> 128 & U256::from(u64::MAX));
    let rate = ray / U256::from(20) / U256::from(365 * 86_400);
    let now = kept + kept * elapsed * rate / ray;
    let health = |index: u64, price: U256| {
        let debt = (scaled_debt(index) * now + ray - U256::ONE) / ray;
        let value = collateral(index) * price / WAD * (WAD / U256::from(5) * U256::from(4));
        value.checked_div(debt).unwrap_or(U256::MAX)
    };

    let price = base.state.storage(&pool, &PRICE)?;
    for (price, overrides) in [(price, None), (price * U256::from(9) / U256::from(10), Some(PRICE))] {
        let overrides = overrides.map(|slot| {
            let storage = StorageOverride::Diff(BTreeMap::from([(slot, price)]));
            let pool_override = (pool, AccountOverride { storage, ..AccountOverride::default() });
            Arc::new(StateOverrides { accounts: BTreeMap::from([pool_override]) })
        });
        let call = |index: u64| {
            let input = [&keccak256("healthFactor(address)")[..4], account(index).into_word().as_slice()].concat();
            Call { state: overrides.clone(), ..Call::new(Address::ZERO, pool, input) }
        };
        let start = Instant::now();
        let (answers, _) = engine.simulate_all(&base, (0..POSITIONS).map(call), &Options::default());
        let time = start.elapsed();

        let mut found = Vec::new();
        for (index, answer) in (0..).zip(answers) {
            let factor = U256::try_from_be_slice(&answer?.output).ok_or("not one word")?;
            assert_eq!(factor, health(index, price), "position {index}");
            if factor < WAD {
                found.push((factor, index));
            }
        }
        found.sort_unstable();
        let worst = found.first().ok_or("none")?;
        println!("at a price of {:.2}: {} of {POSITIONS} can be liquidated", wad(price), found.len());
        println!("  the worst is {} with a health factor of {:.3}", account(worst.1), wad(worst.0));
        println!("  {time:.1?}, {:.0} positions a second", POSITIONS as f64 / time.as_secs_f64());
    }
    Ok(())
}

/// From 18 decimals.
fn wad(amount: U256) -> f64 {
    f64::from(amount) / 1e18
}

/// From the argument, else from `LOCKSTEP_BACKEND`.
fn backend() -> Result<BackendKind, String> {
    let name = std::env::args().nth(1).or_else(|| std::env::var("LOCKSTEP_BACKEND").ok());
    name.map_or(Ok(BackendKind::Auto), |name| name.parse())
}
