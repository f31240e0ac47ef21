//! What happens in the sample block: scenes of transactions, each in its own order, that are then played at the same time.

use super::world::{CHAIN_ID, Deployed, WAD, World, place, serial, wad, wallet};
use crate::{
    contracts::{Arg, Contract, ContractError, word},
    sign::Wallet,
};
use alloy_primitives::{Address, B256, Bytes, U256, bytes};
use lockstep::tx::{Transaction, TxType};

/// Wei.
pub const GWEI: u64 = 1_000_000_000;

/// An EIP-7702 tuple to be signed once the authority's nonce is known.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// Who signs it.
    pub authority: Wallet,
    /// Where it is valid.
    pub chain_id: u64,
    /// The code to run; zero clears.
    pub to: Address,
}

/// A transaction without nonce, and who sends it.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is, in a word.
    pub kind: &'static str,
    /// The sender.
    pub from: Wallet,
    /// The transaction; its nonce is set when its place in the block is.
    pub tx: Transaction,
    /// Its authorisations.
    pub delegations: Vec<Delegation>,
}

pub(super) type Scene = Result<Vec<Step>, ContractError>;

impl Step {
    /// An EIP-1559 transaction. Tips differ, as in life, so that fees do not all look alike.
    pub fn new(kind: &'static str, from: &Wallet, to: Option<Address>, input: Bytes) -> Self {
        let tip = GWEI + u64::from(from.address()[19]) * (GWEI / 100);
        let mut tx = Transaction::blank(TxType::DynamicFee, CHAIN_ID);
        (tx.gas_limit, tx.to, tx.input) = (300_000, to, input);
        tx.max_fee_per_gas = U256::from(2 * GWEI + tip);
        tx.max_priority_fee_per_gas = Some(U256::from(tip));
        Self { kind, from: from.clone(), tx, delegations: Vec::new() }
    }

    pub(super) fn call(
        kind: &'static str,
        from: &Wallet,
        to: &Deployed,
        signature: &str,
        args: &[Arg],
    ) -> Result<Self, ContractError> {
        Ok(Self::new(kind, from, Some(to.address), to.input(signature, args)?))
    }

    pub(super) fn pay(kind: &'static str, from: &Wallet, to: Address, value: U256) -> Self {
        Self::new(kind, from, Some(to), Bytes::new()).gas(21_000).value(value)
    }

    pub(super) fn value(mut self, value: U256) -> Self {
        self.tx.value = value;
        self
    }

    /// With another gas limit.
    #[must_use]
    pub const fn gas(mut self, limit: u64) -> Self {
        self.tx.gas_limit = limit;
        self
    }

    /// Types 0 and 1 have one gas price.
    fn priced(mut self, tx_type: TxType, gas_price: u64) -> Self {
        self.tx.tx_type = tx_type;
        self.tx.max_fee_per_gas = U256::from(gas_price);
        self.tx.max_priority_fee_per_gas = None;
        self
    }

    fn legacy(self) -> Self {
        self.priced(TxType::Legacy, 3 * GWEI)
    }

    fn listing(mut self, address: Address, keys: impl IntoIterator<Item = U256>) -> Self {
        self.tx.access_list.push((address, keys.into_iter().map(B256::from).collect()));
        self
    }

    fn blobs(mut self, count: u8) -> Self {
        self.tx.tx_type = TxType::Blob;
        self.tx.max_fee_per_blob_gas = U256::from(GWEI);
        self.tx.blob_hashes = (0..count).map(|i| B256::with_last_byte(i) | B256::right_padding_from(&[1])).collect();
        self
    }

    fn delegating(mut self, authority: &Wallet, chain_id: u64, to: Address) -> Self {
        self.tx.tx_type = TxType::SetCode;
        self.delegations.push(Delegation { authority: authority.clone(), chain_id, to });
        self
    }
}

/// Every scene.
///
/// # Errors
/// A contract lacks a function that a scene calls.
pub fn all(world: &World) -> Result<Vec<Vec<Step>>, ContractError> {
    let scenes = [
        transfers,
        tokens,
        swaps,
        liquidity,
        collectibles,
        ballots,
        goods,
        pool,
        loans,
        hot_slots,
        own_slots,
        sender_chains,
        failures,
        creations,
        routes,
        access_lists,
        blobs,
        delegations,
        beneficiary,
        newcomer,
        corners,
    ];
    scenes.iter().map(|scene| scene(world)).collect()
}

/// Users to users, users to addresses that do not exist, in three of the ways in which a transfer can be written.
fn transfers(world: &World) -> Scene {
    let step = |(i, from): (usize, &Wallet)| {
        let to = if i % 4 == 3 {
            place(&format!("new account {i}"))
        } else {
            world.users[(i * 7 + 3) % world.users.len()].address()
        };
        let step = Step::pay("transfer", from, to, U256::from(WAD / 100 * (i as u128 + 1)));
        match i % 3 {
            0 => step.legacy(),
            1 => step.gas(30_000),
            _ => step,
        }
    };
    let mut steps: Vec<_> = world.users.iter().enumerate().map(step).collect();
    // Before EIP-155 no chain was named, and it is still valid.
    steps[0].tx.chain_id = None;
    Ok(steps)
}

fn tokens(world: &World) -> Scene {
    let users = &world.users;
    let mut steps = Vec::new();
    for i in 0..28 {
        let to = if i % 5 == 4 { place(&format!("token holder {i}")) } else { users[(i + 9) % users.len()].address() };
        let args = [to.into(), Arg::from(wad(i as u64 + 1))];
        let step = Step::call("token transfer", &users[i], &world.tokens[i % 3], "transfer(address,uint256)", &args)?;
        steps.push(if i % 4 == 0 { step.legacy() } else { step });
    }
    let token = &world.tokens[0];
    let (holder, spender) = (&users[28], &users[29]);
    let many: Vec<_> = (0..4).map(|i| users[i].address()).collect();
    let spend = [holder.address().into(), users[30].address().into(), Arg::from(wad(60))];
    steps.extend([
        Step::call(
            "token approve",
            holder,
            token,
            "approve(address,uint256)",
            &[spender.address().into(), wad(100).into()],
        )?,
        Step::call("token transferFrom", spender, token, "transferFrom(address,address,uint256)", &spend)?,
        // Only 40 are left of the allowance.
        Step::call("revert", spender, token, "transferFrom(address,address,uint256)", &spend)?,
        Step::call(
            "token transferMany",
            holder,
            token,
            "transferMany(address[],uint256)",
            &[many.into(), wad(2).into()],
        )?,
        Step::call(
            "token mint",
            &world.owner,
            token,
            "mint(address,uint256)",
            &[users[31].address().into(), wad(5).into()],
        )?,
        Step::call("token burn", &users[31], token, "burn(uint256)", &[wad(3).into()])?,
    ]);
    Ok(steps)
}

/// Trades on four markets: those on one market are a chain of conflicts, those on two are independent.
fn swaps(world: &World) -> Scene {
    let swap = |i: usize| {
        let args = [Arg::from(!i.is_multiple_of(3)), wad(10 + i as u64).into(), 1_u64.into()];
        Step::call(
            "swap",
            &world.users[i % world.users.len()],
            &world.pairs[i * i % 4],
            "swap(bool,uint256,uint256)",
            &args,
        )
    };
    (0..32).map(swap).collect()
}

fn liquidity(world: &World) -> Scene {
    let (user, pair) = (&world.users[6], &world.pairs[2]);
    Ok(vec![
        Step::call("liquidity", user, pair, "addLiquidity(uint256,uint256)", &[wad(100).into(), wad(150).into()])?,
        Step::call("liquidity", user, pair, "removeLiquidity(uint256)", &[wad(40).into()])?,
        Step::call(
            "liquidity",
            &world.owner,
            pair,
            "credit(address,uint256,uint256)",
            &[user.address().into(), 5_u64.into(), 6_u64.into()],
        )?,
    ])
}

/// Mints take the next number; two of the minted change hands.
fn collectibles(world: &World) -> Scene {
    let (users, nft) = (&world.users, &world.nft);
    let price = U256::from(WAD / 100);
    let mint =
        |user: &Wallet| Ok(Step::call("nft mint", user, nft, "mint(address)", &[user.address().into()])?.value(price));
    let mut steps = users[..10].iter().map(mint).collect::<Result<Vec<_>, ContractError>>()?;
    let send = |from: &Wallet, to: &Wallet, id: u64| [from.address().into(), to.address().into(), Arg::from(id)];
    steps.extend([
        Step::call(
            "nft transfer",
            &users[0],
            nft,
            "transferFrom(address,address,uint256)",
            &send(&users[0], &users[11], 1),
        )?,
        Step::call(
            "nft approve",
            &users[1],
            nft,
            "approve(address,uint256)",
            &[users[12].address().into(), 2_u64.into()],
        )?,
        Step::call(
            "nft transfer",
            &users[12],
            nft,
            "transferFrom(address,address,uint256)",
            &send(&users[1], &users[13], 2),
        )?,
    ]);
    Ok(steps)
}

/// Votes on an open proposal, a new one, votes on that, and the end of a third.
fn ballots(world: &World) -> Scene {
    let (users, vote) = (&world.users, &world.vote);
    let cast = |user: &Wallet, id: u64, choice: u64| {
        Step::call("vote", user, vote, "castVote(uint256,uint8)", &[id.into(), choice.into()])
    };
    let mut steps = (0..8).map(|i| cast(&users[i], 1, i as u64 % 3 + 1)).collect::<Result<Vec<_>, _>>()?;
    steps.push(Step::call("vote", &users[8], vote, "propose(bytes32,uint64)", &[serial(99).into(), 3_600_u64.into()])?);
    for (i, user) in users[9..14].iter().enumerate() {
        steps.push(cast(user, 3, i as u64 % 2 + 1)?);
    }
    steps.push(Step::call("vote", &users[14], vote, "close(uint256)", &[2_u64.into()])?);
    Ok(steps)
}

/// Five items on their way from the maker to a buyer, side by side.
fn goods(world: &World) -> Scene {
    let (maker, shop, buyer, chain) =
        (&world.users[0], &world.users[15], world.users[16].address(), &world.supply_chain);
    let step = |from: &Wallet, signature: &str, args: &[Arg]| Step::call("supply chain", from, chain, signature, args);
    let serials: Vec<B256> = (0..5).map(serial).collect();
    let many = Arg::Words(serials[1..].iter().map(|serial| U256::from_be_bytes(serial.0)).collect());
    let mut steps =
        vec![step(maker, "make(bytes32)", &[serials[0].into()])?, step(maker, "makeMany(bytes32[])", &[many])?];
    for serial in &serials {
        steps.push(step(maker, "ship(bytes32,address)", &[(*serial).into(), shop.address().into()])?);
    }
    for serial in &serials {
        steps.push(step(shop, "accept(bytes32)", &[(*serial).into()])?);
    }
    let text = Arg::Bytes(b"the box was opened and closed again".to_vec());
    steps.push(step(shop, "note(bytes32,string)", &[serials[0].into(), text])?);
    steps.push(step(shop, "sell(bytes32,address)", &[serials[0].into(), buyer.into()])?);
    Ok(steps)
}

/// Three borrowers; the price falls, and one of them is liquidated.
fn pool(world: &World) -> Scene {
    let (users, lending) = (&world.users, &world.lending);
    let step = |from: &Wallet, signature: &str, amount: u64| {
        Step::call("lending", from, lending, signature, &[wad(amount).into()])
    };
    let mut steps = Vec::new();
    for user in &users[17..20] {
        steps.push(step(user, "supply(uint256)", 10)?);
    }
    for (user, amount) in users[17..20].iter().zip([14, 5, 2]) {
        steps.push(step(user, "borrow(uint256)", amount)?);
    }
    let liquidate = [users[17].address().into(), Arg::from(wad(5))];
    steps.extend([
        step(&world.owner, "setPrice(uint256)", 1)?,
        Step::call("lending", &users[20], lending, "liquidate(address,uint256)", &liquidate)?,
        step(&users[18], "repay(uint256)", 6)?,
        step(&users[18], "withdraw(uint256)", 10)?,
        step(&users[19], "withdraw(uint256)", 1)?,
    ]);
    Ok(steps)
}

fn loans(world: &World) -> Scene {
    let (users, loan) = (&world.users, &world.loan);
    let step = |from: &Wallet, signature: &str, args: &[Arg]| Step::call("loan", from, loan, signature, args);
    let mut steps = Vec::new();
    for user in &users[21..24] {
        steps.push(step(user, "open(uint256)", &[wad(1_000).into()])?.value(wad(1)));
    }
    steps.extend([
        step(&users[21], "addCollateral()", &[])?.value(U256::from(WAD / 2)),
        step(&users[24], "sendCredit(address,uint256)", &[users[22].address().into(), wad(100).into()])?,
        step(&users[22], "repay()", &[])?,
        // Sends ether back: a call.
        step(&users[22], "claim()", &[])?,
    ]);
    Ok(steps)
}

/// A chain of conflicts from as many senders, on two hot slots in turn; `advance` succeeds only at its very place.
fn hot_slots(world: &World) -> Scene {
    let (users, counters) = (&world.users, &world.counters);
    let mut steps = Vec::new();
    for i in 0..20_usize {
        let counter = &counters[i % 2];
        let seen = i as u64 / 2;
        let step = match i / 2 % 3 {
            0 => Step::call("hot slot", &users[i], counter, "increment()", &[])?,
            1 => Step::call("hot slot", &users[i], counter, "advance(uint256)", &[seen.into()])?,
            _ => Step::call("hot slot", &users[i], counter, "append(bytes32)", &[serial(i as u64).into()])?,
        };
        steps.push(step);
    }
    steps.push(Step::call("revert", &users[20], &counters[0], "advance(uint256)", &[9_u64.into()])?);
    Ok(steps)
}

/// Free of conflicts, and some that only burn gas.
fn own_slots(world: &World) -> Scene {
    let own = |user: &Wallet| Step::call("own slot", user, &world.counters[0], "incrementOwn()", &[]);
    let spin = |user: &Wallet| Step::call("spin", user, &world.counters[1], "spin(uint256)", &[500_u64.into()]);
    world.users[20..30].iter().map(own).chain(world.users[..2].iter().map(spin)).collect()
}

/// Several transactions of one sender: nonces and balances carry over from each to the next.
fn sender_chains(world: &World) -> Scene {
    let (busy, trader) = (&wallet("busy"), &world.users[25]);
    let mut steps = vec![Step::pay("sender chain", &world.owner, busy.address(), wad(1))];
    for i in 0..8 {
        steps.push(Step::pay("sender chain", busy, world.users[i].address(), U256::from(WAD / 10)));
    }
    let sell = [true.into(), wad(50).into(), Arg::from(1_u64)];
    let buy = [false.into(), wad(20).into(), Arg::from(1_u64)];
    let send = [world.users[26].address().into(), Arg::from(wad(7))];
    steps.extend([
        Step::call("sender chain", trader, &world.pairs[0], "swap(bool,uint256,uint256)", &sell)?,
        Step::call("sender chain", trader, &world.tokens[1], "transfer(address,uint256)", &send)?,
        Step::pay("sender chain", trader, world.users[26].address(), wad(1)).legacy(),
        Step::call("sender chain", trader, &world.pairs[0], "swap(bool,uint256,uint256)", &buy)?,
        Step::call("sender chain", trader, &world.vote, "castVote(uint256,uint8)", &[1_u64.into(), 1_u64.into()])?,
    ]);
    Ok(steps)
}

/// Valid transactions that end badly: reverts with and without a reason, a panic, INVALID, and gas that runs out early and late.
fn failures(world: &World) -> Scene {
    let (users, counter) = (&world.users, &world.counters[2]);
    let much = [users[1].address().into(), Arg::from(wad(1_000_000))];
    let greedy = [true.into(), wad(1).into(), Arg::from(wad(1_000))];
    let little = [users[1].address().into(), Arg::from(1_u64)];
    Ok(vec![
        Step::call("revert", &users[26], &world.tokens[0], "transfer(address,uint256)", &much)?,
        Step::call("revert", &users[27], &world.pairs[1], "swap(bool,uint256,uint256)", &greedy)?,
        Step::call("revert", &users[28], &world.nft, "mint(address)", &[users[28].address().into()])?.value(U256::ONE),
        Step::call("revert", &users[29], &world.tokens[2], "mint(address,uint256)", &little)?,
        Step::call("revert", &users[30], counter, "decrement()", &[])?,
        Step::call("revert", &users[31], counter, "fail()", &[])?,
        Step::new("revert", &users[26], Some(counter.address), bytes!("deadbeef")),
        Step::pay("revert", &users[27], counter.address, U256::ONE).gas(40_000),
        Step::call("halt", &users[28], counter, "halt()", &[])?.gas(60_000),
        Step::call("out of gas", &users[29], counter, "spin(uint256)", &[1_000_000_u64.into()])?.gas(100_000),
        Step::call("out of gas", &users[30], &world.tokens[0], "transfer(address,uint256)", &little)?.gas(23_000),
        Step::call("out of gas", &users[31], &world.tokens[0], "transfer(address,uint256)", &little)?.gas(30_000),
    ])
}

/// Contracts made by transactions and by contracts, calls to what was made, and creations that fail.
fn creations(world: &World) -> Scene {
    let (users, factory) = (&world.users, &world.factory);
    // Of their own, so that the nonces and with them the addresses are known.
    let (deployer, dreamer) = (&wallet("deployer"), &wallet("dreamer"));
    let token = Deployed { contract: Contract::load("Token")?, address: deployer.address().create(0) };
    let counter = Deployed { contract: Contract::load("Counter")?, address: deployer.address().create(2) };
    let clone = Deployed { contract: counter.contract.clone(), address: factory.address.create(1) };
    let create = |from: &Wallet, code: Bytes| Step::new("creation", from, None, code).gas(1_500_000);
    let send = [users[0].address().into(), Arg::from(wad(9))];
    let pair = [world.tokens[0].address.into(), Arg::from(world.tokens[2].address)];
    Ok(vec![
        Step::pay("transfer", &world.owner, deployer.address(), wad(2)),
        Step::pay("transfer", &world.owner, dreamer.address(), wad(2)),
        create(deployer, token.contract.create(&[wad(1_000).into()])),
        Step::call("call to created", deployer, &token, "transfer(address,uint256)", &send)?,
        Step::call("call to created", &users[0], &token, "burn(uint256)", &[wad(4).into()])?,
        create(deployer, counter.contract.create(&[])),
        Step::call("call to created", &users[1], &counter, "increment()", &[])?,
        Step::call("call to created", &users[2], &counter, "advance(uint256)", &[1_u64.into()])?,
        Step::call("factory", &users[3], factory, "clone(address)", &[world.counters[0].address.into()])?,
        Step::call("call to created", &users[4], &clone, "incrementOwn()", &[])?,
        Step::call("factory", &users[5], factory, "createPair(address,address)", &pair)?.gas(2_500_000),
        // PUSH1 0 PUSH1 0 REVERT, then INVALID, then a code that EIP-3541 refuses: PUSH1 0xef PUSH1 0 MSTORE8 PUSH1 1 PUSH1 0 RETURN.
        create(dreamer, bytes!("60006000fd")),
        create(dreamer, bytes!("fe")).gas(80_000),
        create(dreamer, bytes!("60ef60005360016000f3")).gas(80_000),
    ])
}

/// Contracts that call contracts, three frames deep.
fn routes(world: &World) -> Scene {
    let (users, router) = (&world.users, &world.router);
    let [first, second] = [world.open_pairs[0].address, world.open_pairs[1].address];
    let mut steps = Vec::new();
    for (i, user) in users[..3].iter().enumerate() {
        let args = [first.into(), true.into(), wad(30 + i as u64).into(), Arg::from(wad(1))];
        steps
            .push(Step::call("router", user, router, "swapExactIn(address,bool,uint256,uint256)", &args)?.gas(500_000));
    }
    let directions = || Arg::Words(vec![U256::ONE; 2]);
    let path = |least: u64| [vec![first, second].into(), directions(), wad(25).into(), Arg::from(wad(least))];
    let swap_path = "swapPath(address[],bool[],uint256,uint256)";
    // The zero address is refused by the token and passed over by the router.
    let paid = vec![users[9].address(), Address::ZERO, users[10].address()];
    let split: Vec<_> = [users[11].address(), place("heir"), users[12].address()].to_vec();
    let allowed = [router.address.into(), Arg::from(wad(50))];
    steps.extend([
        Step::call("router", &users[3], router, swap_path, &path(1))?.gas(700_000),
        Step::call("revert", &users[3], router, swap_path, &path(5_000))?.gas(700_000),
        Step::call("token approve", &users[4], &world.tokens[2], "approve(address,uint256)", &allowed)?,
        Step::call(
            "router",
            &users[4],
            router,
            "payEach(address,address[],uint256)",
            &[world.tokens[2].address.into(), paid.into(), wad(20).into()],
        )?,
        Step::call("router", &users[5], router, "split(address[])", &[split.into()])?.value(U256::from(WAD + 1)),
    ]);
    Ok(steps)
}

/// Access lists that hit, that miss, and that name what is warm anyway.
fn access_lists(world: &World) -> Scene {
    let (users, token, pair) = (&world.users, &world.tokens[1], &world.pairs[3]);
    let mut steps = Vec::new();
    for i in 10..13 {
        let to = users[i + 1].address();
        let keys = [token.key("balanceOf", &[word(users[i].address())])?, token.key("balanceOf", &[word(to)])?];
        let step =
            Step::call("access list", &users[i], token, "transfer(address,uint256)", &[to.into(), wad(1).into()])?;
        steps.push(step.priced(TxType::AccessList, 2 * GWEI).listing(token.address, keys));
    }
    let swap = [true.into(), wad(3).into(), Arg::from(1_u64)];
    let step = Step::call("access list", &users[13], pair, "swap(bool,uint256,uint256)", &swap)?;
    steps.push(
        step.listing(pair.address, [pair.key("reserve0", &[])?, U256::MAX])
            .listing(place("nobody"), [])
            .listing(pair.address, []),
    );
    let payee = users[14].address();
    steps.push(
        Step::pay("access list", &users[15], payee, U256::ONE)
            .gas(40_000)
            .priced(TxType::AccessList, 2 * GWEI)
            .listing(payee, [U256::ZERO]),
    );
    Ok(steps)
}

fn blobs(world: &World) -> Scene {
    let (users, token) = (&world.users, &world.tokens[2]);
    let send = [users[17].address().into(), Arg::from(wad(1))];
    Ok(vec![
        Step::pay("blob", &users[16], users[17].address(), U256::ONE).blobs(1),
        Step::call("blob", &users[18], token, "transfer(address,uint256)", &send)?.blobs(2),
    ])
}

/// EIP-7702: by a sponsor, by the account itself, for another chain (passed over), moved, and cleared.
fn delegations(world: &World) -> Scene {
    let (users, counter) = (&world.users, &world.counters[0]);
    let (smart, selfish) = (&wallet("smart account"), &wallet("selfish account"));
    let own = counter.input("incrementOwn()", &[])?;
    let run = |kind: &'static str, from: &Wallet, on: &Wallet| Step::new(kind, from, Some(on.address()), own.clone());
    let token = &world.tokens[0];
    let balance = token.input("balanceOf(address)", &[users[0].address().into()])?;
    Ok(vec![
        Step::pay("transfer", &world.owner, smart.address(), wad(1)),
        Step::pay("transfer", &world.owner, selfish.address(), wad(1)),
        run("set code", &users[19], smart).delegating(smart, CHAIN_ID, counter.address),
        run("call to delegated", &users[20], smart),
        Step::pay("transfer", smart, users[21].address(), U256::from(WAD / 3)),
        run("set code", selfish, selfish).delegating(selfish, CHAIN_ID, counter.address),
        run("set code", &users[22], smart).delegating(smart, CHAIN_ID + 1, token.address).delegating(
            selfish,
            CHAIN_ID,
            token.address,
        ),
        Step::new("call to delegated", &users[23], Some(selfish.address()), balance),
        run("call to delegated", &users[24], smart),
        run("set code", &users[25], smart).delegating(smart, CHAIN_ID, Address::ZERO),
        run("call to cleared", &users[26], smart),
    ])
}

/// Fees reach the beneficiary without anyone reading its balance, until it spends what it has earned in this very block.
fn beneficiary(world: &World) -> Scene {
    let beneficiary = &world.beneficiary;
    let earned = U256::from(WAD / 2_000);
    Ok(vec![
        Step::pay("to beneficiary", &world.users[27], beneficiary.address(), U256::from(WAD / 1_000)),
        Step::pay("from beneficiary", beneficiary, world.users[28].address(), U256::from(WAD / 1_000) + earned),
        Step::pay("to beneficiary", &world.users[29], beneficiary.address(), U256::ZERO),
        Step::pay("from beneficiary", beneficiary, beneficiary.address(), earned),
    ])
}

/// Does not exist before the block, is funded in it, trades, and leaves with exactly nothing.
fn newcomer(world: &World) -> Scene {
    let newcomer = &wallet("newcomer");
    let fee = U256::from(21_000 * 3 * GWEI);
    let half = wad(1) / U256::from(2);
    Ok(vec![
        Step::pay("transfer", &world.users[30], newcomer.address(), wad(1)),
        Step::pay("from newcomer", newcomer, world.users[31].address(), half - fee).legacy(),
        Step::pay("from newcomer", newcomer, world.users[31].address(), half - fee).legacy(),
    ])
}

/// What is easily forgotten: oneself, nobody, precompiles, and calldata that costs more than running does.
fn corners(world: &World) -> Scene {
    let users = &world.users;
    let identity = Address::with_last_byte(4);
    Ok(vec![
        Step::pay("self transfer", &users[0], users[0].address(), wad(1)),
        Step::pay("nothing to nobody", &users[1], place("nobody"), U256::ZERO),
        Step::new("data to nobody", &users[2], Some(place("nobody")), bytes!("00112233")).gas(25_000),
        Step::new("precompile", &users[3], Some(identity), bytes!("00112233")).gas(25_000),
        // EIP-7623: 10 gas a token, four tokens a byte that is not zero.
        Step::new("calldata floor", &users[4], Some(users[5].address()), vec![7; 1_000].into()).gas(61_000),
        Step::pay("all but nothing", &users[6], place("rich"), wad(50)),
    ])
}
