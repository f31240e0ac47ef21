//! What a state is: a read-only view that answers for accounts, slots, codes and block hashes.

use crate::commit::Committed;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use std::hash::{Hash, Hasher};

/// Balance, nonce and code hash of an account that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    /// In wei.
    pub balance: U256,
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// Keccak-256 of the code; [`KECCAK256_EMPTY`] where there is none.
    pub code_hash: B256,
}

impl Default for AccountInfo {
    fn default() -> Self {
        Self { balance: U256::ZERO, nonce: 0, code_hash: KECCAK256_EMPTY }
    }
}

impl AccountInfo {
    /// Empty in the sense of EIP-161.
    pub fn is_empty(&self) -> bool {
        self.balance.is_zero() && self.nonce == 0 && self.code_hash == KECCAK256_EMPTY
    }

    /// Whether nothing can be created here any more: EIP-684, without regard to storage (EIP-7610), as revm has it.
    pub fn collides(&self) -> bool {
        self.nonce != 0 || self.has_code()
    }

    /// Whether the account has code.
    pub fn has_code(&self) -> bool {
        self.code_hash != KECCAK256_EMPTY
    }
}

/// The state could not be read. The text names the key and the cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state: {0}")]
pub struct StateError(pub String);

/// A key that a state may know beforehand. Only a hint: a wrong one costs time, never correctness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateKey {
    /// Balance, nonce and code of an account.
    Account(Address),
    /// One storage slot.
    Slot(Address, U256),
    /// The hash of a block by number.
    BlockHash(u64),
}

/// All of a key in one piece, which is what hashing takes least time for.
impl Hash for StateKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self {
            Self::Account(address) => hasher.write(address.as_slice()),
            Self::Slot(address, slot) => {
                let mut bytes = [0; 52];
                bytes[..20].copy_from_slice(address.as_slice());
                bytes[20..].copy_from_slice(&slot.to_le_bytes::<32>());
                hasher.write(&bytes);
            }
            Self::BlockHash(number) => hasher.write_u64(*number),
        }
    }
}

/// A consistent snapshot. Anything that implements revm's `DatabaseRef` is one through [`crate::evm::RevmState`].
pub trait StateRef: Sync {
    /// `None` where the account does not exist.
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError>;

    /// Zero where the slot was never written or the account does not exist.
    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError>;

    /// The code whose Keccak-256 is `code_hash`; never called for [`KECCAK256_EMPTY`]. The hash names the bytes: a code that one
    /// state gave may be used for another.
    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError>;

    /// The hash of block `number`; asked only for the 256 blocks before the current one.
    fn block_hash(&self, number: u64) -> Result<B256, StateError>;

    /// Keys that transactions are likely to read, so that a device gets them in one upload.
    fn hints(&self) -> Vec<StateKey> {
        Vec::new()
    }

    /// This state as few keys over another one, whose values lanes of both then share; `None` where it is not.
    fn layer(&self) -> Option<&Committed<'_>> {
        None
    }
}

impl<S: StateRef + ?Sized> StateRef for &S {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        (**self).account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        (**self).storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        (**self).code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        (**self).block_hash(number)
    }

    fn hints(&self) -> Vec<StateKey> {
        (**self).hints()
    }

    fn layer(&self) -> Option<&Committed<'_>> {
        (**self).layer()
    }
}
