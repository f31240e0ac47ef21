//! The errors of executing a block, kept apart by who is at fault. What a transaction did (success, revert, halt) is never an error.

use crate::{recover::RecoverError, signers::SignerError, state::StateError, tx::DecodeError};

/// The transaction may not be in this block at this place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The field at fault.
    pub field: &'static str,
    /// The rule it breaks, with both values where there are two.
    pub reason: String,
}

impl Invalid {
    /// An invalid `field`.
    pub fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

/// Why one transaction has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// The transaction may not stand here.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// revm gave up for a reason of its own, such as a precompile that failed fatally.
    #[error("revm: {0}")]
    Evm(String),
}

/// Why a block has no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The environment contradicts itself.
    #[error("block: {0}")]
    Block(Invalid),
    /// The bytes of a transaction are none.
    #[error("transaction {tx}: {source}")]
    Decode {
        /// Index in the block.
        tx: usize,
        /// Field and reason.
        source: DecodeError,
    },
    /// A signature has no signer.
    #[error("transaction {tx}: {source}")]
    Recover {
        /// Index in the block.
        tx: usize,
        /// Which check failed.
        source: RecoverError,
    },
    /// A transaction may not stand at its place.
    #[error("transaction {tx}: {source}")]
    Invalid {
        /// Index in the block.
        tx: usize,
        /// Field and rule.
        source: Invalid,
    },
    /// The state could not be read.
    #[error("transaction {tx}: {source}")]
    State {
        /// Index in the block.
        tx: usize,
        /// Key and cause.
        source: StateError,
    },
    /// revm gave up.
    #[error("transaction {tx}: revm: {reason}")]
    Evm {
        /// Index in the block.
        tx: usize,
        /// revm's own words.
        reason: String,
    },
}

impl ExecuteError {
    /// Places a transaction's error in its block.
    pub fn at(tx: usize, error: TxError) -> Self {
        match error {
            TxError::Invalid(source) => Self::Invalid { tx, source },
            TxError::State(source) => Self::State { tx, source },
            TxError::Evm(reason) => Self::Evm { tx, reason },
        }
    }

    /// Places an error of recovery in its block.
    pub(crate) fn signer(tx: usize, error: SignerError) -> Self {
        match error {
            SignerError::Decode(source) => Self::Decode { tx, source },
            SignerError::Recover(source) => Self::Recover { tx, source },
        }
    }

    /// The transaction at fault; `None` if it is the block's environment.
    pub const fn tx(&self) -> Option<usize> {
        match self {
            Self::Block(_) => None,
            Self::Decode { tx, .. }
            | Self::Recover { tx, .. }
            | Self::Invalid { tx, .. }
            | Self::State { tx, .. }
            | Self::Evm { tx, .. } => Some(*tx),
        }
    }

    /// The field at fault.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Block(source) | Self::Invalid { source, .. } => source.field,
            Self::Decode { source, .. } => source.field,
            Self::Recover { .. } => "signature",
            Self::State { .. } => "state",
            Self::Evm { .. } => "execution",
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{block::Block, engine::Engine, fixture};
    use alloy_primitives::{Address, Bytes};

    fn error(change: impl FnOnce(&mut Block)) -> (Option<usize>, &'static str) {
        let (mut block, state) = fixture::block();
        change(&mut block);
        let error = Engine::builder().threads(1).build().unwrap().execute_block(&block, &state).unwrap_err();
        (error.tx(), error.field())
    }

    #[test]
    fn a_bad_block_names_transaction_and_field() {
        let to = Address::repeat_byte(1);
        let cut = |raw: &Bytes| raw.slice(..raw.len() - 1);
        assert_eq!(error(|block| block.transactions[2] = cut(&block.transactions[2])), (Some(2), "raw"));
        assert_eq!(error(|block| block.transactions[1] = Bytes::new()), (Some(1), "raw"));
        assert_eq!(
            error(|block| block.transactions[3] = fixture::legacy(2, 5, Some(1), to, 1)),
            (Some(3), "nonce"),
            "a gap"
        );
        assert_eq!(error(|block| block.transactions[0] = fixture::legacy(1, 0, Some(5), to, 1)), (Some(0), "chain_id"));
        assert_eq!(error(|block| block.transactions[0] = fixture::legacy(9, 0, Some(1), to, 1)), (Some(0), "balance"));
        assert_eq!(error(|block| block.env.gas_limit = 121_000), (Some(2), "gas_limit"), "the block is full");
        assert_eq!(error(|block| block.env.base_fee = 11), (Some(0), "max_fee_per_gas"));
        assert_eq!(error(|block| block.env.fork = crate::fork::Fork::Berlin), (Some(1), "type"));
        assert_eq!(error(|block| block.env.fork = crate::fork::Fork::Cancun), (None, "blob_params"));
    }

    #[test]
    fn a_signature_out_of_range_is_an_error_of_recovery() {
        let bad = error(|block| {
            let mut raw = block.transactions[0].to_vec();
            // s is the last item of a legacy transaction.
            let end = raw.len();
            raw[end - 32..].fill(0xff);
            block.transactions[0] = raw.into();
        });
        assert_eq!(bad, (Some(0), "signature"));
    }

    #[test]
    fn a_state_without_the_code_is_an_error_of_the_state() {
        let (block, mut state) = fixture::block();
        let unknown =
            crate::state::AccountInfo { code_hash: alloy_primitives::B256::repeat_byte(1), ..Default::default() };
        state.insert_account(fixture::LOGGER, unknown);
        let error = Engine::builder().threads(1).build().unwrap().execute_block(&block, &state).unwrap_err();
        assert_eq!((error.tx(), error.field()), (Some(1), "state"));
    }
}
