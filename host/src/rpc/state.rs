//! The state under a block, read from a node key by key in batches, and proven by its Merkle proofs where the node gives them.

use super::{
    block::{block_request, read_header},
    cache::Cache,
    client::Request,
    error::{Cause, RpcError},
    header::Header,
    partial::Asker,
};
use crate::{
    block_file::{BlockFileError, Node},
    state::{AccountInfo, StateError, StateKey, StateRef},
};
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use serde_json::{Value, json};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

const PROOF: &str = "eth_getProof";
const CODE: &str = "eth_getCode";
const BALANCE: &str = "eth_getBalance";
const NONCE: &str = "eth_getTransactionCount";
const SLOT: &str = "eth_getStorageAt";

/// Slots in one `eth_getProof`: geth takes at most 1,024.
const SLOTS_A_PROOF: usize = 256;

/// Whether values are proven against the parent's state root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proofs {
    /// Where the node gives proofs. Where it has no such method, or none for this block, values are taken as they are, with a warning;
    /// any other failure to prove is an error.
    #[default]
    Auto,
    /// An error where it does not.
    Always,
    /// Not asked for: faster, and enough for a node of one's own. The receipts are compared all the same.
    Never,
}

/// What is known of the state. What is absent is not known; an account that is `None` does not exist.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) accounts: AddressMap<Option<AccountInfo>>,
    pub(crate) slots: HashMap<(Address, U256), U256>,
    pub(crate) codes: B256Map<Bytes>,
    pub(crate) block_hashes: HashMap<u64, B256>,
}

/// What is known, as a state that notes what it is asked in vain, and answers that with nothing.
#[derive(Debug)]
pub(crate) struct View<'a> {
    known: &'a Known,
    missing: Mutex<HashSet<StateKey>>,
}

impl<'a> View<'a> {
    pub(crate) fn new(known: &'a Known) -> Self {
        Self { known, missing: Mutex::default() }
    }

    /// The keys asked in vain.
    pub(crate) fn into_missing(self) -> HashSet<StateKey> {
        self.missing.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn or_missing<T: Default>(&self, value: Option<T>, key: StateKey) -> T {
        value.unwrap_or_else(|| {
            self.missing.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            T::default()
        })
    }
}

impl StateRef for View<'_> {
    fn account(&self, address: &Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.or_missing(self.known.accounts.get(address).copied(), StateKey::Account(*address)))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        Ok(self.or_missing(self.known.slots.get(&(*address, *slot)).copied(), StateKey::Slot(*address, *slot)))
    }

    fn code(&self, code_hash: &B256) -> Result<Bytes, StateError> {
        self.known.codes.get(code_hash).cloned().ok_or_else(|| StateError(format!("no code of hash {code_hash}")))
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        Ok(self.or_missing(self.known.block_hashes.get(&number).copied(), StateKey::BlockHash(number)))
    }
}

/// Reads the state after `parent`, for the block that follows it.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) asker: &'a Asker<'a>,
    pub(crate) cache: Option<&'a Cache>,
    pub(crate) parent: &'a Header,
    pub(crate) proofs: Proofs,
    /// The node has no proofs for any block.
    pub(crate) no_proofs: &'a AtomicBool,
    /// Whether any value of this block was taken as the node gave it.
    pub(crate) unproven: Cell<bool>,
}

/// A value as the node gave it.
enum Plain {
    Number(U256),
    Code(Bytes),
}

/// Slots by account; an account without slots is asked for itself.
type Wanted = BTreeMap<Address, BTreeSet<U256>>;

impl Reader<'_> {
    /// Reads `keys` into `known`, which is changed only if all of them could be read.
    pub(crate) fn read(&self, keys: &HashSet<StateKey>, known: &mut Known) -> Result<(), RpcError> {
        let mut wanted = Wanted::new();
        let mut oldest = None::<u64>;
        for key in keys {
            match key {
                StateKey::Account(address) => _ = wanted.entry(*address).or_default(),
                StateKey::Slot(address, slot) => _ = wanted.entry(*address).or_default().insert(*slot),
                StateKey::BlockHash(number) => oldest = Some(oldest.map_or(*number, |oldest| oldest.min(*number))),
            }
        }
        let mut fresh = Known::default();
        if self.proofs == Proofs::Never || self.no_proofs.load(Ordering::Relaxed) || self.unproven.get() {
            self.read_plain(&wanted, &mut fresh)?;
        } else {
            match self.read_proven(&wanted, &mut fresh) {
                Err(error) if self.proofs == Proofs::Auto && error.is_refusal() => {
                    tracing::warn!(%error, "values are taken as the node gives them, without proofs");
                    // What is pruned for this block may be there for another.
                    self.no_proofs.fetch_or(error.cause == Cause::Unsupported, Ordering::Relaxed);
                    self.read_plain(&wanted, &mut fresh)?;
                }
                result => result?,
            }
        }
        self.read_codes(known, &mut fresh)?;
        if let Some(oldest) = oldest {
            self.read_hashes(oldest, &mut fresh)?;
        }
        known.accounts.extend(fresh.accounts);
        known.slots.extend(fresh.slots);
        known.codes.extend(fresh.codes);
        known.block_hashes.extend(fresh.block_hashes);
        Ok(())
    }

    /// The block that state is read for, by which errors name it.
    const fn number(&self) -> u64 {
        self.parent.number + 1
    }

    fn tag(&self) -> Value {
        json!(format!("{:#x}", self.parent.number))
    }

    fn wrong(&self, key: impl Into<String>, method: &'static str, reason: impl ToString) -> RpcError {
        RpcError::new(self.number(), key, method, Cause::Wrong(reason.to_string()))
    }

    fn read_proven(&self, wanted: &Wanted, fresh: &mut Known) -> Result<(), RpcError> {
        let mut asked = Vec::new();
        for (address, slots) in wanted {
            let slots: Vec<_> = slots.iter().copied().collect();
            if slots.is_empty() {
                asked.push((*address, Vec::new()));
            }
            asked.extend(slots.chunks(SLOTS_A_PROOF).map(|chunk| (*address, chunk.to_vec())));
        }
        let request = |(address, slots): &(Address, Vec<U256>)| {
            let keys: Vec<_> = slots.iter().map(|slot| B256::from(*slot)).collect();
            Request::new(PROOF, json!([address, keys, self.tag()]), account_key(address))
        };
        let requests: Vec<_> = asked.iter().map(request).collect();
        let answers = self.asker.batch(&requests)?;
        let read = |at: usize, _: &Request, answer: &Value| {
            let (address, slots) = &asked[at];
            self.read_proof(address, slots, answer, fresh)
        };
        self.asker.read_each(&requests, &answers, read).map(drop)
    }

    fn read_proof(&self, address: &Address, slots: &[U256], answer: &Value, fresh: &mut Known) -> Result<(), RpcError> {
        let key = account_key(address);
        let malformed = RpcError::malformed(self.number(), &key, PROOF);
        let proof = AccountProof::read(&Node::root(answer)).map_err(malformed)?;
        let exists =
            proof.verify(address, self.parent.state_root).map_err(|reason| self.wrong(key.as_str(), PROOF, reason))?;
        fresh.accounts.insert(*address, exists.then_some(proof.info));
        if proof.slots.len() != slots.len() {
            let reason = format!("{} slots where {} were asked", proof.slots.len(), slots.len());
            return Err(self.wrong(key, PROOF, reason));
        }
        for (slot, proven) in slots.iter().zip(&proof.slots) {
            let verified = if exists { proven.verify(slot, proof.storage_root) } else { proven.is_zero() };
            verified.map_err(|reason| self.wrong(slot_key(address, slot), PROOF, reason))?;
            fresh.slots.insert((*address, *slot), proven.value);
        }
        Ok(())
    }

    fn read_plain(&self, wanted: &Wanted, fresh: &mut Known) -> Result<(), RpcError> {
        self.unproven.set(true);
        let mut requests = Vec::new();
        for (address, slots) in wanted {
            for method in [BALANCE, NONCE, CODE] {
                requests.push(Request::new(method, json!([address, self.tag()]), account_key(address)));
            }
            for slot in slots {
                requests.push(Request::new(
                    SLOT,
                    json!([address, B256::from(*slot), self.tag()]),
                    slot_key(address, slot),
                ));
            }
        }
        let answers = self.asker.batch(&requests)?;
        let read = |_: usize, request: &Request, answer: &Value| {
            let node = Node::root(answer);
            let plain = match request.method {
                CODE => node.bytes().map(Plain::Code),
                NONCE => node.u64().map(|nonce| Plain::Number(U256::from(nonce))),
                _ => node.u256().map(Plain::Number),
            };
            plain.map_err(RpcError::malformed(self.number(), &request.key, request.method))
        };
        let mut values = self.asker.read_each(&requests, &answers, read)?.into_iter();
        // One answer a request, which is what a batch is.
        let too_few = || self.wrong("state", BALANCE, "too few answers");
        for (address, slots) in wanted {
            let (Some(Plain::Number(balance)), Some(Plain::Number(nonce)), Some(Plain::Code(code))) =
                (values.next(), values.next(), values.next())
            else {
                return Err(too_few());
            };
            let info = AccountInfo { balance, nonce: nonce.saturating_to(), code_hash: keccak256(&code) };
            fresh.accounts.insert(*address, (!info.is_empty()).then_some(info));
            if info.has_code() {
                fresh.codes.insert(info.code_hash, code);
            }
            for slot in slots {
                let Some(Plain::Number(value)) = values.next() else { return Err(too_few()) };
                fresh.slots.insert((*address, *slot), value);
            }
        }
        Ok(())
    }

    /// The codes of fresh accounts that are not at hand.
    fn read_codes(&self, known: &Known, fresh: &mut Known) -> Result<(), RpcError> {
        let mut wanted = BTreeMap::new();
        for (address, info) in &fresh.accounts {
            let Some(info) = info.filter(AccountInfo::has_code) else { continue };
            let hash = info.code_hash;
            if known.codes.contains_key(&hash) || fresh.codes.contains_key(&hash) {
                continue;
            }
            match self.cache.and_then(|cache| cache.code(&hash)) {
                Some(code) => _ = fresh.codes.insert(hash, code),
                None => _ = wanted.insert(hash, *address),
            }
        }
        let request = |(hash, address): (&B256, &Address)| {
            Request::new(CODE, json!([address, self.tag()]), format!("code {hash} of {}", account_key(address)))
        };
        let requests: Vec<_> = wanted.iter().map(request).collect();
        let answers = self.asker.batch(&requests)?;
        let hashes: Vec<_> = wanted.keys().collect();
        let read = |at: usize, request: &Request, answer: &Value| {
            let hash = hashes[at];
            let malformed = RpcError::malformed(self.number(), &request.key, CODE);
            let code = Node::root(answer).bytes().map_err(malformed)?;
            let actual = keccak256(&code);
            if actual != *hash {
                return Err(self.wrong(request.key.as_str(), CODE, format!("a code of the hash {actual}")));
            }
            if let Some(cache) = self.cache {
                cache.put_code(hash, &code);
            }
            fresh.codes.insert(*hash, code);
            Ok(())
        };
        self.asker.read_each(&requests, &answers, read).map(drop)
    }

    /// The hashes of all blocks from `oldest` on, each the parent of the next.
    fn read_hashes(&self, oldest: u64, fresh: &mut Known) -> Result<(), RpcError> {
        fresh.block_hashes.insert(self.parent.number, self.parent.hash);
        // Youngest first: each is bound by the one before it.
        let numbers: Vec<_> = (oldest..self.parent.number).rev().collect();
        let request =
            |number: &u64| Request { key: format!("hash of block {number}"), ..block_request(*number, false) };
        let requests: Vec<_> = numbers.iter().map(request).collect();
        let answers = self.asker.batch(&requests)?;
        let mut child = *self.parent;
        for ((number, request), answer) in numbers.into_iter().zip(&requests).zip(&answers) {
            let read = self.read_parent(&child, number, request, answer);
            child = read.inspect_err(|_| self.asker.doubt(request))?;
            fresh.block_hashes.insert(number, child.hash);
        }
        Ok(())
    }

    fn read_parent(&self, child: &Header, number: u64, request: &Request, answer: &Value) -> Result<Header, RpcError> {
        let header = read_header(answer, number)?;
        if header.hash == child.parent_hash {
            return Ok(header);
        }
        let reason = format!("the parent of block {} is {}, not {}", child.number, child.parent_hash, header.hash);
        Err(self.wrong(request.key.as_str(), request.method, reason))
    }
}

fn account_key(address: &Address) -> String {
    format!("account {address:?}")
}

fn slot_key(address: &Address, slot: &U256) -> String {
    format!("slot {slot:#x} of {address:?}")
}

/// An answer of `eth_getProof`.
#[derive(Debug)]
struct AccountProof {
    info: AccountInfo,
    storage_root: B256,
    proof: Vec<Bytes>,
    slots: Vec<SlotProof>,
}

#[derive(Debug)]
struct SlotProof {
    value: U256,
    proof: Vec<Bytes>,
}

impl AccountProof {
    fn read(node: &Node<'_>) -> Result<Self, BlockFileError> {
        let code_hash: B256 = node.get("codeHash")?.fixed()?;
        let slot = |node: Node<'_>| {
            Ok(SlotProof { value: node.get("value")?.u256()?, proof: trie_nodes(&node.get("proof")?)? })
        };
        Ok(Self {
            info: AccountInfo {
                balance: node.get("balance")?.u256()?,
                nonce: node.get("nonce")?.u64()?,
                // Some nodes say zero for an account that does not exist.
                code_hash: if code_hash.is_zero() { KECCAK256_EMPTY } else { code_hash },
            },
            storage_root: node.get("storageHash")?.fixed()?,
            proof: trie_nodes(&node.get("accountProof")?)?,
            slots: node.get("storageProof")?.elements()?.map(slot).collect::<Result<_, BlockFileError>>()?,
        })
    }

    /// Whether the account exists, which `root` must bear out.
    fn verify(&self, address: &Address, root: B256) -> Result<bool, String> {
        let key = Nibbles::unpack(keccak256(address));
        if self.info.is_empty() && verify_proof(root, key, None, &self.proof).is_ok() {
            return Ok(false);
        }
        let AccountInfo { balance, nonce, code_hash } = self.info;
        let account = TrieAccount { nonce, balance, storage_root: self.storage_root, code_hash };
        verify_proof(root, key, Some(alloy_rlp::encode(account)), &self.proof)
            .map(|()| true)
            .map_err(|_| format!("its proof does not lead to the state root {root}"))
    }
}

impl SlotProof {
    fn verify(&self, slot: &U256, root: B256) -> Result<(), String> {
        let key = Nibbles::unpack(keccak256(B256::from(*slot)));
        // No chain has leaves of zero. Anvil's tries do, and one proves what its absence does.
        if self.value.is_zero() && verify_proof(root, key, None, &self.proof).is_ok() {
            return Ok(());
        }
        verify_proof(root, key, Some(alloy_rlp::encode(self.value)), &self.proof)
            .map_err(|_| format!("its proof does not lead to the storage root {root}"))
    }

    /// In an account that does not exist.
    fn is_zero(&self) -> Result<(), String> {
        if self.value.is_zero() { Ok(()) } else { Err("a value in an account that does not exist".into()) }
    }
}

fn trie_nodes(node: &Node<'_>) -> Result<Vec<Bytes>, BlockFileError> {
    node.elements()?.map(|node| node.bytes()).collect()
}
