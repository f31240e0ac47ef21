//! The loop of the example `node_loop`: alloy-evm's executor and Lockstep's keep the same of chains and blocks, on every backend.

#[path = "../../host/examples/node_loop/chain.rs"]
mod chain;

use alloy_consensus::{Header, TxEnvelope, TxReceipt, TxType};
use alloy_eips::{Decodable2718, eip4895::Withdrawal};
use alloy_evm::{
    EvmEnv, EvmFactory,
    block::{BlockExecutor, BlockExecutorFactory},
    eth::{
        EthBlockExecutorFactory, EthEvmFactory,
        receipt_builder::AlloyReceiptBuilder,
        spec::{EthExecutorSpec, EthSpec},
    },
    revm::{
        database::{InMemoryDB, State, states::bundle_state::BundleRetention},
        inspector::CountInspector,
    },
};
use alloy_primitives::{B256, Bytes, U256};
use chain::{Kept, NodeBlock, NodeFactory, blob_params, ctx, database, difference, one_by_one, run};
use libtest_mimic::Failed;
use lockstep::{
    alloy_evm::{ForkSchedule, LockstepBlockExecutorFactory, Tally, Wrapped, recover_txs},
    block_file::BlockFile,
    engine::Engine,
    fork::Fork,
};
use lockstep_tests::{
    harness::Suite,
    sample::chain::{Chain, ChainBlock, FORKS, TXS, build},
};
use std::{collections::HashSet, fs, path::Path, process::ExitCode};

/// A chain ready for the loop.
struct Case<S> {
    spec: S,
    db: InMemoryDB,
    blocks: Vec<NodeBlock>,
    low_s: bool,
}

impl<S: EthExecutorSpec + Clone + 'static> Case<S> {
    fn theirs(&self) -> Result<Kept, String> {
        run(&self.factory(), &self.spec, &self.db, &self.blocks, one_by_one).map_err(|error| error.to_string())
    }

    fn ours(&self, engine: &Engine) -> Result<(Kept, Tally), String> {
        let factory = LockstepBlockExecutorFactory::new(engine.clone(), self.factory()).without_device(true);
        let ready = |txs| Ok(recover_txs(engine, txs, self.low_s)?);
        let kept = run(&factory, &self.spec, &self.db, &self.blocks, ready).map_err(|error| error.to_string())?;
        Ok((kept, factory.tally()))
    }

    fn factory(&self) -> EthBlockExecutorFactory<AlloyReceiptBuilder, S> {
        EthBlockExecutorFactory::new(AlloyReceiptBuilder::default(), self.spec.clone(), EthEvmFactory::default())
    }

    /// Both kept the same, and all of it went through the engine.
    fn same(&self, engine: &Engine) -> Result<(Kept, Tally), Failed> {
        let theirs = self.theirs()?;
        let (ours, tally) = self.ours(engine)?;
        if let Some(difference) = difference(&ours, &theirs) {
            return Err(difference.into());
        }
        if tally.blocks != self.blocks.len() as u64 || !tally.wrapped.is_empty() {
            return Err(format!("{tally:?}").into());
        }
        Ok((ours, tally))
    }
}

fn node_block(parent: B256, ChainBlock { block, withdrawals }: ChainBlock) -> NodeBlock {
    let env = block.env;
    let header = Header {
        parent_hash: parent,
        parent_beacon_block_root: Some(B256::repeat_byte(0xbe)),
        number: env.number,
        timestamp: env.timestamp,
        beneficiary: env.beneficiary,
        gas_limit: env.gas_limit,
        base_fee_per_gas: Some(env.base_fee),
        mix_hash: env.prevrandao,
        excess_blob_gas: Some(env.excess_blob_gas),
        ..Header::default()
    };
    let pay = |(index, (address, amount))| Withdrawal { index, validator_index: index, address, amount };
    NodeBlock {
        header,
        chain_id: env.chain_id,
        blob_params: env.blob_params.map(|params| blob_params(env.fork, params)),
        transactions: block.transactions,
        withdrawals: (0..).zip(withdrawals).map(pay).collect(),
    }
}

fn generated() -> Result<Case<ForkSchedule>, Failed> {
    let Chain { state, blocks } = build()?;
    let spec = ForkSchedule::new(blocks.iter().map(|block| (block.block.env.timestamp, block.block.env.fork)));
    let mut parent = B256::ZERO;
    let blocks = blocks.into_iter().map(|block| {
        let block = node_block(parent, block);
        parent = block.header.hash_slow();
        block
    });
    Ok(Case { spec, db: database(&[&state])?, blocks: blocks.collect(), low_s: true })
}

/// Six blocks with everything that a block may have.
fn generated_chain(engine: &Engine) -> Result<(), Failed> {
    let case = generated()?;
    let (kept, tally) = case.same(engine)?;
    let all = (TXS * FORKS.len()) as u64;
    if tally.report.total().txs != all || kept.bundle.reverts.len() != FORKS.len() {
        return Err(format!("not {all} txs and a revert a block: {:?}", tally.report.total()).into());
    }
    if engine.executes_on_device() && (tally.report.device.txs + tally.report.foreseen) * 100 < all * 95 {
        return Err(
            format!("{} of {all} txs on the device: {:?}", tally.report.device.txs, tally.report.fallbacks).into()
        );
    }
    for (block, result) in kept.results.iter().enumerate() {
        let types: HashSet<_> = result.requests.iter().map(|requests| requests[0]).collect();
        let statuses: HashSet<_> = result.receipts.iter().map(TxReceipt::status).collect();
        let tx_types: HashSet<TxType> = result.receipts.iter().map(|receipt| receipt.tx_type()).collect();
        if result.receipts.len() != TXS
            || statuses.len() != 2
            || tx_types.len() != 5
            || types != HashSet::from([0, 1, 2])
        {
            return Err(format!("block {block} lacks something: {types:?} {statuses:?} {tx_types:?}").into());
        }
    }
    Ok(())
}

/// The same chain where the engine reads the state by itself.
fn on_a_snapshot(engine: &Engine) -> Result<(), Failed> {
    let case = generated()?;
    let factory = LockstepBlockExecutorFactory::new(engine.clone(), case.factory()).without_device(true);
    let mut state = State::builder().with_database_ref(&case.db).with_bundle_update().build();
    let mut results = Vec::new();
    for block in &case.blocks {
        let env = EvmEnv::for_eth_block(&block.header, &case.spec, block.chain_id, block.blob_params);
        let executor = factory.create_executor(factory.evm_factory().create_evm(&mut state, env), ctx(block));
        let decode = |raw: &Bytes| TxEnvelope::decode_2718_exact(raw);
        let txs = block.transactions.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        results.push(executor.execute_block_on_snapshot(recover_txs(engine, txs, true)?)?);
        state.merge_transitions(BundleRetention::Reverts);
    }
    let ours = Kept { results, bundle: state.take_bundle() };
    let tally = factory.tally();
    match difference(&ours, &case.theirs()?) {
        None if tally.blocks == FORKS.len() as u64 && tally.wrapped.is_empty() => Ok(()),
        difference => Err(format!("{difference:?} {tally:?}").into()),
    }
}

/// Blocks of the shared data; numbers that follow on each other are one chain.
fn shared(engine: &Engine, folder: &Path) -> Result<(), Failed> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.retain(|path| path.to_string_lossy().ends_with(".json.zst"));
    let mut files = paths.iter().map(|path| BlockFile::read(path)).collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(|file| file.block.env.number);
    for files in files.chunk_by(|one, next| one.block.env.number + 1 == next.block.env.number) {
        let states: Vec<_> = files.iter().map(|file| &file.state).collect();
        let blocks =
            files.iter().map(NodeBlock::of_file).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let low_s = files[0].block.env.fork >= Fork::Homestead;
        let case = Case { spec: EthSpec::mainnet(), db: database(&states)?, blocks, low_s };
        let (kept, _) = case.same(engine).map_err(|error| format!("{}: {error:?}", files[0].block.env.number))?;
        for (file, result) in files.iter().zip(&kept.results) {
            if result.gas_used != file.expected.gas_used {
                return Err(format!("{}: {} gas", file.block.env.number, result.gas_used).into());
            }
        }
    }
    Ok(())
}

/// A wrong input on one side must show, each at the field that it changes.
fn wrong_input(engine: &Engine) -> Result<(), Failed> {
    let right = generated()?.theirs()?;
    let check = |what: &str, field: &str, change: &dyn Fn(&mut Case<ForkSchedule>)| {
        let mut case = generated()?;
        change(&mut case);
        match difference(&case.ours(engine)?.0, &right) {
            Some(difference) if difference.contains(field) => Ok(()),
            difference => Err(Failed::from(format!("{what}: {difference:?}"))),
        }
    };
    check("a withdrawal of a gwei more", "account ", &|case| case.blocks[1].withdrawals[2].amount += 1)?;
    check("a block less", "6", &|case| drop(case.blocks.pop()))?;
    check("a tx less", "receipts, gas", &|case| drop(case.blocks[5].transactions.pop()))?;
    check("another parent", "account 0x0000F908", &|case| case.blocks[0].header.parent_hash = B256::with_last_byte(1))?;
    check("another base fee", "account ", &|case| case.blocks[3].header.base_fee_per_gas = Some(999_999_999))?;
    check("an account with a wei more", "account ", &|case| {
        let user = case.blocks[0].withdrawals[0].address;
        let mut info = case.db.cache.accounts[&user].info.clone();
        info.balance += U256::ONE;
        case.db.insert_account_info(user, info);
    })?;
    Ok(())
}

/// A kept result with one thing changed is not the same.
fn comparer() -> Result<(), Failed> {
    let right = generated()?.theirs()?;
    type Change = (&'static str, fn(&mut Kept));
    let changes: [Change; 6] = [
        ("receipt 7", |kept| kept.results[0].receipts.swap(7, 8)),
        ("gas", |kept| kept.results[1].gas_used += 1),
        ("blob gas", |kept| kept.results[2].blob_gas_used += 1),
        ("requests", |kept| kept.results[3].requests = Default::default()),
        ("reverts", |kept| drop(kept.bundle.reverts.pop())),
        ("bundles", |kept| kept.bundle.contracts.clear()),
    ];
    if let Some(difference) = difference(&right.clone(), &right) {
        return Err(difference.into());
    }
    for (field, change) in changes {
        let mut wrong = right.clone();
        change(&mut wrong);
        if !difference(&wrong, &right).is_some_and(|difference| difference.contains(field)) {
            return Err(format!("{field}: {:?}", difference(&wrong, &right)).into());
        }
    }
    Ok(())
}

/// Invalid blocks give the wrapped executor's own error.
fn errors(engine: &Engine) -> Result<(), Failed> {
    let check = |words: &str, change: &dyn Fn(&mut Vec<NodeBlock>)| {
        let mut case = generated()?;
        change(&mut case.blocks);
        let (ours, theirs) = (case.ours(engine).err(), case.theirs().err());
        if ours == theirs && theirs.as_ref().is_some_and(|error| error.contains(words)) {
            Ok(())
        } else {
            Err(Failed::from(format!("{ours:?} and {theirs:?}")))
        }
    };
    check("nonce", &|blocks| drop(blocks[0].transactions.remove(0)))?;
    check("nonce", &|blocks| drop(blocks[1].transactions.remove(200)))?;
    check("more than blocks available gas", &|blocks| blocks[0].header.gas_limit = 9_000_000)?;
    check("gas", &|blocks| blocks[2].header.base_fee_per_gas = Some(4_000_000_000))?;
    check("parent beacon block root", &|blocks| blocks[0].header.parent_beacon_block_root = None)?;
    Ok(())
}

/// The first half of a block one by one, and the rest as a block, which has less room then than the engine knows.
fn half_by_itself(engine: &Engine) -> Result<(), Failed> {
    let mut case = generated()?;
    case.blocks.truncate(1);
    let used = case.theirs()?.results[0].gas_used;
    let ours = LockstepBlockExecutorFactory::new(engine.clone(), case.factory()).without_device(true);
    for (gas_limit, fits) in [(case.blocks[0].header.gas_limit, true), (used - 1, false)] {
        case.blocks[0].header.gas_limit = gas_limit;
        let [theirs, ours] = [halves(&case.factory(), &case), halves(&ours, &case)];
        if theirs != ours || theirs.is_ok() != fits {
            return Err(format!("gas limit {gas_limit}: {:?} and {:?}", theirs.err(), ours.err()).into());
        }
    }
    // It was not asked in vain: the room is checked where its outcomes go in.
    if ours.tally().blocks == 2 { Ok(()) } else { Err(format!("{:?}", ours.tally()).into()) }
}

fn halves<F: NodeFactory>(factory: &F, case: &Case<ForkSchedule>) -> Result<Kept, String> {
    let block = &case.blocks[0];
    let mut state = State::builder().with_database_ref(&case.db).with_bundle_update().build();
    let env = EvmEnv::for_eth_block(&block.header, &case.spec, block.chain_id, block.blob_params);
    let mut executor = factory.create_executor(factory.evm_factory().create_evm(&mut state, env), ctx(block));
    let decode = |raw: &Bytes| TxEnvelope::decode_2718_exact(raw).map_err(|error| error.to_string());
    let txs = block.transactions.iter().map(decode).collect::<Result<_, _>>()?;
    let mut txs = one_by_one(txs).map_err(|error| error.to_string())?;
    let rest = txs.split_off(TXS / 2);
    executor.apply_pre_execution_changes().map_err(|error| error.to_string())?;
    for tx in txs {
        executor.execute_transaction(tx).map_err(|error| error.to_string())?;
    }
    let result = executor.execute_block(rest).map_err(|error| error.to_string())?;
    state.merge_transitions(BundleRetention::Reverts);
    Ok(Kept { results: vec![result], bundle: state.take_bundle() })
}

/// A batch of senders and authorities is what alloy recovers one by one, and a transaction without a sender is named.
fn recovery(engine: &Engine) -> Result<(), Failed> {
    for block in generated()?.blocks {
        let decode = |raw: &Bytes| TxEnvelope::decode_2718_exact(raw);
        let txs = block.transactions.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        if recover_txs(engine, txs.clone(), true)? != one_by_one(txs).map_err(|error| error.to_string())? {
            return Err("they differ".into());
        }
    }
    let mut raw = generated()?.blocks[0].transactions[0].to_vec();
    let end = raw.len();
    raw[end - 32..].fill(0xff);
    let bad = TxEnvelope::decode_2718_exact(&raw)?;
    match recover_txs(engine, [bad], true) {
        Err(error) if error.tx == 0 => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// What is not the engine's goes to the wrapped executor, whole, with the reason.
fn left_to_the_wrapped(engine: &Engine) -> Result<(), Failed> {
    let mut case = generated()?;
    case.blocks.truncate(1);
    let theirs = case.theirs()?;
    let block = &case.blocks[0];
    let execute = |change: &dyn Fn(&mut EvmEnv), inspected: bool, without_device: bool| {
        let factory = LockstepBlockExecutorFactory::new(engine.clone(), case.factory()).without_device(without_device);
        let mut state = State::builder().with_database_ref(&case.db).with_bundle_update().build();
        let mut env = EvmEnv::for_eth_block(&block.header, &case.spec, block.chain_id, block.blob_params);
        change(&mut env);
        let ctx = ctx(block);
        let txs = block.transactions.iter().map(|raw| TxEnvelope::decode_2718_exact(raw)).collect::<Result<_, _>>()?;
        let txs = recover_txs(engine, Vec::into_iter(txs), true)?;
        let evms = factory.evm_factory();
        let result = if inspected {
            let evm = evms.create_evm_with_inspector(&mut state, env, CountInspector::new());
            factory.create_executor(evm, ctx).execute_block(txs)?
        } else {
            factory.create_executor(evms.create_evm(&mut state, env), ctx).execute_block(txs)?
        };
        if result.receipts != theirs.results[0].receipts {
            return Err(Failed::from("the receipts differ"));
        }
        Ok(factory.tally())
    };
    let wrapped = |tally: &Tally, why| tally.wrapped.get(&why) == Some(&1) && tally.wrapped_txs == TXS as u64;
    let tally = execute(&|_| {}, true, true)?;
    if !wrapped(&tally, Wrapped::Inspector) {
        return Err(format!("inspector: {tally:?}").into());
    }
    let tally = execute(&|env| env.cfg_env.limit_contract_code_size = Some(1 << 20), false, true)?;
    if !wrapped(&tally, Wrapped::Settings) {
        return Err(format!("settings: {tally:?}").into());
    }
    let tally = execute(&|_| {}, false, false)?;
    if wrapped(&tally, Wrapped::NoDevice) == engine.executes_on_device() {
        return Err(format!("device: {tally:?}").into());
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.each("generated_chain", generated_chain);
    suite.each("on_a_snapshot", on_a_snapshot);
    suite.each_on("shared_blocks", "blocks", shared);
    suite.each("errors", errors);
    suite.each("half_by_itself", half_by_itself);
    suite.each("recovery", recovery);
    suite.each("left_to_the_wrapped", left_to_the_wrapped);
    suite.each("wrong_input", wrong_input);
    suite.test("comparer", comparer);
    suite.run()
}
