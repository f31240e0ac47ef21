//! For nodes that are built on alloy-evm, such as reth: block executors that differ from alloy-evm's own in who executes.
//!
//! [`LockstepBlockExecutorFactory`] goes where alloy-evm's [`EthBlockExecutorFactory`] goes. [`recover_txs`] makes a block's
//! transactions ready for either, with senders and EIP-7702 authorities recovered in one batch.
//!
//! ```
//! use alloy_consensus::TxEnvelope;
//! use alloy_eips::Decodable2718;
//! use alloy_evm::{
//!     EvmEnv, EvmFactory,
//!     block::{BlockExecutor, BlockExecutorFactory},
//!     eth::{EthBlockExecutionCtx, EthBlockExecutorFactory, EthEvmFactory, receipt_builder::AlloyReceiptBuilder},
//!     revm::database::{InMemoryDB, State, states::bundle_state::BundleRetention},
//! };
//! use lockstep::{
//!     alloy_evm::{ForkSchedule, LockstepBlockExecutorFactory, recover_txs},
//!     engine::Engine,
//!     fork::Fork,
//! };
//!
//! let engine = Engine::builder().build()?;
//! let spec = ForkSchedule::new([(0, Fork::Prague)]);
//! let eth = EthBlockExecutorFactory::new(AlloyReceiptBuilder::default(), spec.clone(), EthEvmFactory::default());
//! let factory = LockstepBlockExecutorFactory::new(engine, eth);
//!
//! // From here on as with any factory, but for the batch of signers.
//! let header = alloy_consensus::Header { gas_limit: 30_000_000, base_fee_per_gas: Some(7), ..Default::default() };
//! let raw: Vec<alloy_primitives::Bytes> = Vec::new();
//! let txs = raw.iter().map(|raw| TxEnvelope::decode_2718_exact(raw)).collect::<Result<Vec<_>, _>>()?;
//! let txs = recover_txs(factory.engine(), txs, true)?;
//!
//! let mut state = State::builder().with_database_ref(InMemoryDB::default()).with_bundle_update().build();
//! let blobs = alloy_eips::eip7840::BlobParams::prague();
//! let env = EvmEnv::for_eth_block(
//!     alloy_consensus::Header { number: 1, excess_blob_gas: Some(0), ..header }, &spec, 1, Some(blobs));
//! let ctx = EthBlockExecutionCtx {
//!     parent_hash: Default::default(),
//!     parent_beacon_block_root: Some(Default::default()),
//!     ommers: &[],
//!     withdrawals: None,
//!     extra_data: Default::default(),
//!     tx_count_hint: Some(txs.len()),
//!     slot_number: None,
//! };
//! let evm = factory.evm_factory().create_evm(&mut state, env);
//! let result = factory.create_executor(evm, ctx).execute_block(txs)?;
//! state.merge_transitions(BundleRetention::Reverts);
//! assert_eq!((result.gas_used, state.take_bundle().reverts.len()), (0, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`EthBlockExecutorFactory`]: alloy_evm::eth::EthBlockExecutorFactory

mod executor;
mod schedule;
mod served;
mod snapshot;
mod tally;
mod txs;

pub use executor::{LockstepBlockExecutor, LockstepBlockExecutorFactory};
pub use schedule::ForkSchedule;
pub use snapshot::Snapshot;
pub use tally::{Tally, Wrapped};
pub use txs::{BlobTx, ReadyTx, TxSignerError, ready_tx, recover_txs};
