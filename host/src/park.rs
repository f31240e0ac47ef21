//! What a parked lane asks of the host, and the service that answers between two slices: keys that the snapshot lacks,
//! addresses and codes of contracts to be created, signers.

use crate::{
    abi::{self, LaneState},
    backend::Backend,
    context::Contexts,
    fallback::FallbackReason,
    lower::{CodeArena, SnapshotTable, address_from_limbs, from_limbs},
    recover::RecoverRequest,
    state::{StateError, StateKey},
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use std::fmt;

/// Requests of one lane that are served: more than keys fit its overlay.
const ROUNDS: u32 = 256;

/// Keys beyond which none is added: with the index they take 72 MiB of a binding.
pub(crate) const MAX_KEYS: usize = 1 << 19;

/// Bytes of code beyond which none is added; the largest code fits on top of it.
pub(crate) const MAX_CODE: usize = 120 << 20;

/// What a lane waits for: the request rows of its [`LaneState`], and the bytes of its memory that they point at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The lane's place in the batch.
    pub lane: usize,
    /// `KIND_*` of a key, or `REQUEST_*`.
    pub kind: u32,
    /// Of the key; zero where it has none. Of the creator, or of what is created.
    pub address: Address,
    /// Slot or number; nonce or salt.
    pub word: U256,
    /// Bytes of the lane's memory; empty for keys. Init code, or code.
    pub bytes: Vec<u8>,
}

impl Request {
    /// The request of a parked lane.
    pub fn new(lane: usize, state: &LaneState, bytes: Vec<u8>) -> Self {
        let address = address_from_limbs(state.request_address);
        Self { lane, kind: state.request_kind, address, word: from_limbs(state.request_word), bytes }
    }

    /// The key that is asked for, if it is one.
    pub fn key(&self) -> Option<StateKey> {
        match self.kind {
            abi::KIND_ACCOUNT => Some(StateKey::Account(self.address)),
            abi::KIND_SLOT => Some(StateKey::Slot(self.address, self.word)),
            abi::KIND_BLOCK_HASH => Some(StateKey::BlockHash(self.word.saturating_to())),
            _ => None,
        }
    }
}

/// What recovers the signer for the ecrecover precompile: hash, v, r and s as words, absent bytes zero. `None` where v is
/// neither 27 nor 28; r and s are recovery's part, and high ones are good.
fn recover_request(bytes: &[u8]) -> Option<RecoverRequest> {
    let mut input = [0; 128];
    let len = bytes.len().min(input.len());
    input[..len].copy_from_slice(&bytes[..len]);
    let word = |index: usize| U256::from_be_slice(&input[32 * index..][..32]);
    let recovery_id = match word(1).try_into() {
        Ok(27_u8) => 0,
        Ok(28_u8) => 1,
        _ => return None,
    };
    Some(RecoverRequest { hash: word(0).into(), r: word(2), s: word(3), recovery_id, low_s: false })
}

/// What becomes of a parked lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The snapshot has the key now: the step runs again.
    Resume,
    /// The step runs again and finds these in the request rows.
    Reply {
        /// For `request_address`.
        address: Address,
        /// For `request_word`.
        word: U256,
        /// For `request_len`.
        len: u32,
    },
    /// The lane ends with `FALLBACK_*`.
    End(FallbackReason),
    /// The lane stays parked for good: the state cannot be read, and revm is to say so.
    Leave,
}

/// Answers requests, and holds what they add to. Codes and snapshot entries stay where they are while a batch runs.
pub trait Service: fmt::Debug {
    /// One answer a request, in order.
    fn serve(&mut self, requests: &[Request]) -> Vec<Answer>;

    /// A lane has ended with a reason to fall back; others go on.
    fn declined(&mut self, lane: usize, reason: FallbackReason);

    /// The codes that lanes may run or look at.
    fn codes(&self) -> &CodeArena;

    /// What lanes may read.
    fn snapshot(&self) -> &SnapshotTable;
}

/// Serves each lane from the state of its context, which stays as it is while the batch runs.
pub struct StateService<'a> {
    device: &'a dyn Backend,
    contexts: &'a Contexts<'a>,
    /// The context of each lane.
    places: Vec<usize>,
    codes: &'a mut CodeArena,
    snapshot: &'a mut SnapshotTable,
    /// Requests of each lane so far.
    rounds: Vec<u32>,
    /// Is told of lanes that fall back while others go on.
    declined: Option<Declined<'a>>,
}

/// What is told of lanes, by their places in the batch, that fall back while others go on.
pub type Declined<'a> = &'a mut dyn FnMut(usize, FallbackReason);

impl fmt::Debug for StateService<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateService").field("keys", &self.snapshot.len()).finish_non_exhaustive()
    }
}

impl<'a> StateService<'a> {
    /// For a batch on `device`, which recovers signers too, of lanes whose contexts are at `places`; `snapshot` holds
    /// values of states of `contexts` only.
    pub fn new(
        device: &'a dyn Backend,
        contexts: &'a Contexts<'a>,
        places: Vec<usize>,
        codes: &'a mut CodeArena,
        snapshot: &'a mut SnapshotTable,
    ) -> Self {
        let rounds = vec![0; places.len()];
        Self { device, contexts, places, codes, snapshot, rounds, declined: None }
    }

    /// The same, which tells of every lane that falls back as soon as that is known.
    #[must_use]
    pub fn telling(self, declined: Declined<'a>) -> Self {
        Self { declined: Some(declined), ..self }
    }

    fn ensure(&mut self, lane: usize, key: StateKey) -> Result<(), StateError> {
        self.snapshot.ensure(key, self.contexts.state(self.places[lane]), self.codes)
    }

    fn answer(&mut self, request: &Request, signers: &mut dyn Iterator<Item = Answer>) -> Answer {
        self.rounds[request.lane] += 1;
        let full = self.snapshot.len() >= MAX_KEYS || self.codes.len_bytes() >= MAX_CODE;
        let signer = if request.kind == abi::REQUEST_RECOVER { signers.next() } else { None };
        if full || self.rounds[request.lane] > ROUNDS {
            return Answer::End(FallbackReason::MissRounds);
        }
        if let Some(answer) = signer {
            return answer;
        }
        let served = match (request.key(), request.kind) {
            (Some(key), _) => self.ensure(request.lane, key).map(|()| Answer::Resume),
            (None, abi::REQUEST_CREATE | abi::REQUEST_CREATE2 | abi::REQUEST_DEPLOY) => self.create(request),
            _ => Ok(Answer::End(FallbackReason::DeviceError)),
        };
        served.unwrap_or_else(|error| {
            tracing::debug!(%error, "what a lane asks for cannot be read");
            Answer::Leave
        })
    }

    /// Names the account to be created and puts the code in the arena; of a deployment, the code alone.
    fn create(&mut self, request: &Request) -> Result<Answer, StateError> {
        let hash = keccak256(&request.bytes);
        let address = match request.kind {
            abi::REQUEST_CREATE => request.address.create(request.word.saturating_to()),
            abi::REQUEST_CREATE2 => request.address.create2(B256::from(request.word), hash),
            _ => request.address,
        };
        self.ensure(request.lane, StateKey::Account(address))?;
        let len = self.codes.insert(hash, || Ok(Bytes::copy_from_slice(&request.bytes)))?;
        Ok(Answer::Reply { address, word: U256::ZERO, len })
    }
}

impl StateService<'_> {
    /// An answer to each request for a signer, in order, all recovered at once.
    fn signers(&self, requests: &[Request]) -> Vec<Answer> {
        let asked = requests.iter().filter(|request| request.kind == abi::REQUEST_RECOVER);
        let signatures: Vec<_> = asked.map(|request| recover_request(&request.bytes)).collect();
        let good: Vec<_> = signatures.iter().copied().flatten().collect();
        let recovered = if good.is_empty() { Ok(Vec::new()) } else { self.device.recover(&good) };
        let recovered = recovered.unwrap_or_else(|error| {
            tracing::warn!(%error, "the device failed to recover, the lanes that asked go to the CPU");
            Vec::new()
        });
        let mut recovered = recovered.into_iter();
        let mut next =
            || recovered.next().map_or(Answer::End(FallbackReason::DeviceError), |result| signer(result.ok()));
        signatures.iter().map(|signature| if signature.is_some() { next() } else { signer(None) }).collect()
    }
}

/// The reply that names a signer, or none by its length.
fn signer(address: Option<Address>) -> Answer {
    let word = address.map_or(U256::ZERO, |address| U256::from_be_slice(address.as_slice()));
    Answer::Reply { address: Address::ZERO, word, len: if address.is_some() { 32 } else { 0 } }
}

impl Service for StateService<'_> {
    fn serve(&mut self, requests: &[Request]) -> Vec<Answer> {
        let mut signers = self.signers(requests).into_iter();
        requests.iter().map(|request| self.answer(request, &mut signers)).collect()
    }

    fn declined(&mut self, lane: usize, reason: FallbackReason) {
        if let Some(declined) = &mut self.declined {
            declined(lane, reason);
        }
    }

    fn codes(&self) -> &CodeArena {
        self.codes
    }

    fn snapshot(&self) -> &SnapshotTable {
        self.snapshot
    }
}
