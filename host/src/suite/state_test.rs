//! State tests: one transaction on one state, and the root, logs and rejection that it must come to.

use super::{
    CaseResult, Malformed, Mismatch, Named, Verdict,
    json::Node,
    judge::{self, Agreed},
    network::{BlobSchedule, chain_id, fork_of, is_on_device},
    world::World,
};
use crate::{
    block::BlockEnv,
    context::{Context, PlacedTx},
    error::{ExecuteError, Invalid, TxError},
    fork::Fork,
    intrinsic::check_intrinsic,
    outcome::{Log, TxOutcome},
    receipt::logs_hash,
    tx::{Authorization, Signature, Transaction, TxType},
};
use alloy_primitives::{Address, B256, U256, keccak256};
use secp256k1::{PublicKey, SecretKey};
use std::sync::Arc;

/// One transaction and what it must come to.
#[derive(Debug)]
pub(super) struct StateCase {
    env: BlockEnv,
    /// Shared by the cases of a test.
    pre: Arc<World>,
    sender: Address,
    /// Or why no bytes of any transaction say so.
    tx: Result<Transaction, Invalid>,
    /// Whether the transaction must be rejected.
    rejected: bool,
    root: B256,
    /// The whole state, where the file has it: its root alone does not say what differs.
    post: Option<World>,
    logs_hash: B256,
}

/// The cases of one test: one for each fork and choice of data, gas and value.
pub(super) fn read(name: &str, test: &Node<'_>) -> Result<Vec<Named<StateCase>>, Malformed> {
    let mut cases = Vec::new();
    let pre = Arc::new(World::read(&test.get("pre")?)?);
    let (env, tx) = (test.get("env")?, test.get("transaction")?);
    let sender = sender(&tx)?;
    let schedule = BlobSchedule::read(test)?;
    let chain_id = chain_id(test)?;
    let posts = test.get("post")?;
    let mut choices = Vec::new();
    for (fork, posts) in posts.members()? {
        for post in posts.elements()? {
            choices.push((fork, post));
        }
    }
    if choices.is_empty() {
        return Err(posts.error("no expectation"));
    }
    let alone = choices.len() == 1;
    for (fork_name, post) in choices {
        let indexes = post.get("indexes")?;
        let index = |key: &str| indexes.get(key)?.index();
        let (data, gas, value) = (index("data")?, index("gas")?, index("value")?);
        let name = if alone { name.into() } else { format!("{name} {fork_name} d{data} g{gas} v{value}") };
        let case = match fork_of(fork_name) {
            None => Err(format!("fork {fork_name:?}")),
            Some(fork) => Ok(StateCase {
                env: read_env(&env, fork, fork_name, chain_id, &schedule)?,
                pre: Arc::clone(&pre),
                sender,
                tx: read_tx(&tx, chain_id, [data, gas, value])?,
                rejected: post.optional("expectException")?.is_some(),
                root: post.get("hash")?.fixed()?,
                post: post.optional("state")?.map(|state| World::read(&state)).transpose()?,
                logs_hash: post.get("logs")?.fixed()?,
            }),
        };
        cases.push(Named { case, name, fork: fork_name.into() });
    }
    Ok(cases)
}

fn read_env(
    node: &Node<'_>,
    fork: Fork,
    fork_name: &str,
    chain_id: u64,
    schedule: &BlobSchedule,
) -> Result<BlockEnv, Malformed> {
    let quantity = |key: &str| node.optional(key)?.map(|node| node.u64()).transpose();
    let base_fee = quantity("currentBaseFee")?;
    let prevrandao = node.optional("currentRandom")?.map(|node| node.u256()).transpose()?;
    Ok(BlockEnv {
        chain_id,
        fork,
        number: node.get("currentNumber")?.u64()?,
        timestamp: node.get("currentTimestamp")?.u64()?,
        beneficiary: node.get("currentCoinbase")?.fixed()?,
        gas_limit: node.get("currentGasLimit")?.u64()?,
        // Files that fill one test for many forks give it for all of them.
        base_fee: base_fee.filter(|_| fork >= Fork::London).unwrap_or_default(),
        difficulty: node.optional("currentDifficulty")?.map(|node| node.u256()).transpose()?.unwrap_or_default(),
        prevrandao: prevrandao.unwrap_or_default().into(),
        excess_blob_gas: quantity("currentExcessBlobGas")?.filter(|_| fork >= Fork::Cancun).unwrap_or_default(),
        blob_params: schedule.params(fork_name, fork),
        blob_price: None,
    })
}

/// Who sends, by name or by key.
fn sender(tx: &Node<'_>) -> Result<Address, Malformed> {
    if let Some(sender) = tx.optional("sender")? {
        return sender.fixed();
    }
    let key = tx.get("secretKey")?;
    let secret = SecretKey::from_secret_bytes(key.fixed()?).map_err(|cause| key.error(cause))?;
    let public = PublicKey::from_secret_key(&secret).serialize_uncompressed();
    Ok(Address::from_slice(&keccak256(&public[1..])[12..]))
}

/// The transaction at these indexes of data, gas and value. What no envelope can hold is a rejection that the test may be there for.
fn read_tx(
    node: &Node<'_>,
    chain_id: u64,
    [data, gas, value]: [usize; 3],
) -> Result<Result<Transaction, Invalid>, Malformed> {
    let mut misfit = None;
    let mut wide = |field: &'static str, node: Node<'_>| -> Result<U256, Malformed> {
        Ok(node.wide()?.unwrap_or_else(|| {
            misfit = Some(Invalid::new(field, "exceeds 256 bits"));
            U256::ZERO
        }))
    };
    let tip = node.optional("maxPriorityFeePerGas")?.map(|node| wide("max_priority_fee_per_gas", node)).transpose()?;
    let price = match node.optional("maxFeePerGas")? {
        Some(price) => price,
        None => node.get("gasPrice")?,
    };
    let max_fee_per_gas = wide("max_fee_per_gas", price)?;
    let nonce = wide("nonce", node.get("nonce")?)?;
    let gas_limit = wide("gas_limit", node.get("gasLimit")?.element(gas)?)?;
    let value = wide("value", node.get("value")?.element(value)?)?;
    let blob_fee = node.optional("maxFeePerBlobGas")?.map(|node| wide("max_fee_per_blob_gas", node)).transpose()?;
    let mut narrow = |field, value: U256| {
        u64::try_from(value).unwrap_or_else(|_| {
            misfit = Some(Invalid::new(field, format!("{value} exceeds 64 bits")));
            0
        })
    };
    let (nonce, gas_limit) = (narrow("nonce", nonce), narrow("gas_limit", gas_limit));
    // One list for each choice of data, null where that one is a legacy transaction.
    let lists = node.optional("accessLists")?;
    let access_list = lists.map(|lists| lists.element(data)).transpose()?.filter(|list| !list.is_null());
    let hashes = node.optional("blobVersionedHashes")?;
    let tuples = node.optional("authorizationList")?;
    let tx_type = if tuples.is_some() {
        TxType::SetCode
    } else if hashes.is_some() || blob_fee.is_some() {
        TxType::Blob
    } else if tip.is_some() || node.optional("maxFeePerGas")?.is_some() {
        TxType::DynamicFee
    } else if access_list.is_some() {
        TxType::AccessList
    } else {
        TxType::Legacy
    };
    let to = node.get("to")?.target()?;
    if matches!(tx_type, TxType::Blob | TxType::SetCode) && to.is_none() {
        misfit = Some(Invalid::new("to", "a transaction of this type creates nothing"));
    }
    let authorizations = tuples.map(|tuples| read_authorizations(&tuples)).transpose()?;
    let Some(authorizations) = authorizations.map_or(Some(Vec::new()), |tuples| tuples) else {
        return Ok(Err(Invalid::new("authorization_list", "exceeds its width")));
    };
    let tx = Transaction {
        chain_id: (tx_type != TxType::Legacy).then_some(chain_id),
        nonce,
        gas_limit,
        max_fee_per_gas,
        max_priority_fee_per_gas: tip.or_else(|| (tx_type as u8 > 1).then_some(U256::ZERO)),
        to,
        value,
        input: node.get("data")?.element(data)?.bytes()?,
        access_list: access_list.map(|list| read_access_list(&list)).transpose()?.unwrap_or_default(),
        max_fee_per_blob_gas: blob_fee.unwrap_or_default(),
        blob_hashes: hashes.map(|hashes| read_hashes(&hashes)).transpose()?.unwrap_or_default(),
        authorizations,
        ..Transaction::blank(tx_type, chain_id)
    };
    Ok(misfit.map_or(Ok(tx), Err))
}

fn read_hashes(node: &Node<'_>) -> Result<Vec<B256>, Malformed> {
    node.elements()?.map(|hash| hash.fixed()).collect()
}

fn read_access_list(node: &Node<'_>) -> Result<Vec<(Address, Vec<B256>)>, Malformed> {
    let entry = |entry: Node<'_>| Ok((entry.get("address")?.fixed()?, read_hashes(&entry.get("storageKeys")?)?));
    node.elements()?.map(entry).collect()
}

/// `None` where a number is wider than an envelope holds.
fn read_authorizations(node: &Node<'_>) -> Result<Option<Vec<Authorization>>, Malformed> {
    let mut tuples = Vec::new();
    for tuple in node.elements()? {
        let parity = match tuple.optional("yParity")? {
            Some(parity) => parity,
            None => tuple.get("v")?,
        };
        let number = |key: &str| tuple.get(key)?.wide();
        let address = tuple.get("address")?.fixed()?;
        let numbers = (number("chainId")?, number("nonce")?, parity.wide()?, number("r")?, number("s")?);
        let (Some(chain_id), Some(nonce), Some(parity), Some(r), Some(s)) = numbers else { return Ok(None) };
        let (Ok(nonce), Ok(raw_parity)) = (u64::try_from(nonce), u8::try_from(parity)) else { return Ok(None) };
        tuples.push(Authorization {
            chain_id,
            address,
            nonce,
            signing_hash: Authorization::hash_for_signing(chain_id, address, nonce),
            signature: Signature { r, s, y_parity: raw_parity == 1 },
            raw_parity,
            authority: None,
        });
    }
    Ok(Some(tuples))
}

impl StateCase {
    /// Where the transaction runs.
    pub(super) fn context(&self) -> Context<'_> {
        Context { env: &self.env, state: &*self.pre }
    }

    /// The transaction, or why it cannot even be tried.
    ///
    /// # Errors
    /// A rule that it breaks by itself.
    pub(super) fn placed(&self, context: usize) -> Result<PlacedTx<'_>, Invalid> {
        let tx = self.tx.as_ref().map_err(Clone::clone)?;
        check_intrinsic(tx, self.env.fork, self.env.chain_id)?;
        Ok(PlacedTx { tx, sender: self.sender, context })
    }

    /// Compares what an engine gave for the transaction, with revm and with the expectation.
    pub(super) fn judge(&self, ours: Result<TxOutcome, TxError>, on_device: bool) -> CaseResult {
        let ours = ours.map(|outcome| vec![outcome]).map_err(|error| ExecuteError::at(0, error));
        let agreed = match &self.tx {
            Err(invalid) => Ok(Agreed::Rejected(invalid.clone())),
            Ok(tx) => judge::agree(ours, &self.env, std::slice::from_ref(tx), &[self.sender], &*self.pre),
        };
        match agreed {
            Err(mismatch) => CaseResult::new(Verdict::Failed(mismatch), false, false),
            Ok(Agreed::Rejected(invalid)) => {
                let accepted = (!self.rejected).then(|| Mismatch::new("exception", "none", invalid));
                let mismatch = accepted.or_else(|| self.compare(&self.pre, &Vec::new()));
                CaseResult::new(mismatch.map_or(Verdict::Passed, Verdict::Failed), false, false)
            }
            Ok(Agreed::Executed { outcomes, rare_precompile }) => {
                let mut world = World::clone(&self.pre);
                let mut logs = Vec::new();
                for outcome in outcomes {
                    world.apply(&outcome);
                    logs.extend(outcome.logs);
                }
                let rejected = self.rejected.then(|| Mismatch::new("exception", "a rejected transaction", "none"));
                let verdict = match rejected.or_else(|| self.compare(&world, &logs)) {
                    None => Verdict::Passed,
                    Some(mismatch) if self.pre.has_bare_storage() && !self.rejected => Verdict::OracleDiffers(mismatch),
                    Some(mismatch) => Verdict::Failed(mismatch),
                };
                CaseResult::new(verdict, !rare_precompile && is_on_device(self.env.fork), on_device)
            }
        }
    }

    /// Logs, then the state: where it differs if the file has it whole, and its root.
    fn compare(&self, world: &World, logs: &Vec<Log>) -> Option<Mismatch> {
        Mismatch::of("logs hash", self.logs_hash, logs_hash(logs))
            .or_else(|| self.post.as_ref().and_then(|post| post.difference(world)))
            .or_else(|| Mismatch::of("state root", self.root, world.root()))
    }
}
