//! For nodes that are built on alloy-evm, such as reth: block executors that differ from alloy-evm's own in who executes.
//!
//! [`LockstepBlockExecutorFactory`] goes where alloy-evm's [`EthBlockExecutorFactory`] goes. [`recover_txs`] makes a block's
//! transactions ready for either, with senders and EIP-7702 authorities recovered in one batch.
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
