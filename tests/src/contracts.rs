//! The project's own contracts (`tests/contracts`): codes, calls and storage positions, taken from the committed artefacts.

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use serde_json::Value;
use std::collections::BTreeMap;

macro_rules! artefacts {
    ($($name:literal,)*) => {
        /// Every contract and its artefact. Part of the binary, so that it also runs where there is no source tree.
        const ARTEFACTS: &[(&str, &str)] = &[$(($name, include_str!(concat!("../contracts/artifacts/", $name, ".json"))),)*];
    };
}

artefacts!["Counter", "Factory", "Lending", "Loan", "Nft", "Pair", "Router", "SupplyChain", "Token", "Vote",];

/// The artefact, or what was asked of it, is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("contract {contract}: {missing}")]
pub struct ContractError {
    /// The contract asked for.
    pub contract: String,
    /// What it lacks.
    pub missing: String,
}

/// A compiled contract.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its name.
    pub name: &'static str,
    /// What a creation runs; constructor arguments follow it.
    pub creation_code: Bytes,
    /// What a call runs. There are no immutables, so it can be put into a state as it stands.
    pub runtime_code: Bytes,
    /// keccak256 of each source file it is made of, as the compiler saw it.
    pub source_keccak: BTreeMap<String, B256>,
    selectors: BTreeMap<String, [u8; 4]>,
    slots: BTreeMap<String, U256>,
}

/// One argument of a call, as the ABI encodes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// A type of at most 32 bytes.
    Word(U256),
    /// A dynamic array of such.
    Words(Vec<U256>),
    /// `bytes` or `string`.
    Bytes(Vec<u8>),
}

/// The names of all contracts.
pub fn names() -> impl Iterator<Item = &'static str> {
    ARTEFACTS.iter().map(|(name, _)| *name)
}

impl Contract {
    /// Reads one artefact.
    ///
    /// # Errors
    /// There is no such contract, or its artefact lacks a field.
    pub fn load(name: &str) -> Result<Self, ContractError> {
        let error = |missing: &str| ContractError { contract: name.to_owned(), missing: missing.to_owned() };
        let (name, text) =
            ARTEFACTS.iter().find(|(known, _)| *known == name).ok_or_else(|| error("no such artefact"))?;
        let artefact: Value = serde_json::from_str(text).map_err(|cause| error(&cause.to_string()))?;
        let code = |key: &str| {
            artefact[key].as_str().and_then(|text| hex::decode(text).ok()).map(Bytes::from).ok_or_else(|| error(key))
        };
        let slots = artefact["storageLayout"]["storage"].as_array().into_iter().flatten();
        Ok(Self {
            name,
            creation_code: code("creationCode")?,
            runtime_code: code("runtimeCode")?,
            source_keccak: strings(&artefact["sourceKeccak"]).ok_or_else(|| error("sourceKeccak"))?,
            selectors: strings::<SelectorText>(&artefact["methodIdentifiers"])
                .ok_or_else(|| error("methodIdentifiers"))?
                .into_iter()
                .map(|(signature, selector)| (signature, selector.0))
                .collect(),
            slots: slots
                .map(|item| Some((item["label"].as_str()?.to_owned(), item["slot"].as_str()?.parse().ok()?)))
                .collect::<Option<_>>()
                .ok_or_else(|| error("storageLayout"))?,
        })
    }

    /// Calldata: the selector of `signature`, e.g. `transfer(address,uint256)`, and the arguments.
    ///
    /// # Errors
    /// The contract has no such function.
    pub fn call(&self, signature: &str, args: &[Arg]) -> Result<Bytes, ContractError> {
        let selector = self.selectors.get(signature).ok_or_else(|| self.lacks(signature))?;
        Ok([selector.as_slice(), &encode(args)].concat().into())
    }

    /// Init code: the creation code and the constructor's arguments.
    pub fn create(&self, args: &[Arg]) -> Bytes {
        [self.creation_code.as_ref(), &encode(args)].concat().into()
    }

    /// The slot in which a state variable starts.
    ///
    /// # Errors
    /// The contract has no such variable.
    pub fn slot(&self, variable: &str) -> Result<U256, ContractError> {
        self.slots.get(variable).copied().ok_or_else(|| self.lacks(variable))
    }

    /// Signatures and selectors of all functions.
    pub fn selectors(&self) -> impl Iterator<Item = (&str, [u8; 4])> {
        self.selectors.iter().map(|(signature, selector)| (signature.as_str(), *selector))
    }

    fn lacks(&self, what: &str) -> ContractError {
        ContractError { contract: self.name.to_owned(), missing: format!("no {what}") }
    }
}

struct SelectorText([u8; 4]);

impl std::str::FromStr for SelectorText {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::decode_to_array(text).map(Self)
    }
}

fn strings<T: std::str::FromStr>(object: &Value) -> Option<BTreeMap<String, T>> {
    object.as_object()?.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.parse().ok()?))).collect()
}

/// Where Solidity keeps the value of `key` in the mapping that starts in `slot`. A nested mapping's slot is itself such a position.
pub fn mapping_slot(key: impl Into<U256>, slot: U256) -> U256 {
    let preimage = [key.into().to_be_bytes::<32>(), slot.to_be_bytes::<32>()].concat();
    keccak256(preimage).into()
}

/// An address as the word that stands for it in calldata, mapping keys and storage.
pub fn word(address: Address) -> U256 {
    address.into_word().into()
}

/// The arguments by the Solidity ABI: a head of one word each, then the tails of the dynamic ones.
pub fn encode(args: &[Arg]) -> Vec<u8> {
    let mut head = Vec::new();
    let mut tail = Vec::new();
    let put = |out: &mut Vec<u8>, value: U256| out.extend(value.to_be_bytes::<32>());
    for arg in args {
        let offset = U256::from(args.len() * 32 + tail.len());
        match arg {
            Arg::Word(value) => put(&mut head, *value),
            Arg::Words(values) => {
                put(&mut head, offset);
                put(&mut tail, U256::from(values.len()));
                values.iter().for_each(|value| put(&mut tail, *value));
            }
            Arg::Bytes(bytes) => {
                put(&mut head, offset);
                put(&mut tail, U256::from(bytes.len()));
                tail.extend(bytes);
                tail.resize(tail.len().next_multiple_of(32), 0);
            }
        }
    }
    [head, tail].concat()
}

impl From<U256> for Arg {
    fn from(value: U256) -> Self {
        Self::Word(value)
    }
}

impl From<u64> for Arg {
    fn from(value: u64) -> Self {
        Self::Word(U256::from(value))
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Word(U256::from(value))
    }
}

impl From<B256> for Arg {
    fn from(value: B256) -> Self {
        Self::Word(value.into())
    }
}

impl From<Address> for Arg {
    fn from(value: Address) -> Self {
        Self::Word(word(value))
    }
}

impl From<Vec<Address>> for Arg {
    fn from(values: Vec<Address>) -> Self {
        Self::Words(values.into_iter().map(word).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::FixedBytes;
    use std::{fs, path::Path};

    fn contracts() -> impl Iterator<Item = Contract> {
        names().map(|name| Contract::load(name).unwrap())
    }

    #[test]
    fn every_artefact_is_fresh() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts");
        for contract in contracts() {
            for (file, expected) in &contract.source_keccak {
                // A checkout with CRLF line ends is no stale artefact.
                let source = fs::read_to_string(folder.join("src").join(file)).unwrap().replace("\r\n", "\n");
                let hint = "run `npm ci && node build.mjs` in tests/contracts";
                assert_eq!(keccak256(source), *expected, "{}: {file} has changed: {hint}", contract.name);
            }
        }
        let mut committed: Vec<_> = fs::read_dir(folder.join("artifacts"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        committed.sort();
        assert_eq!(committed, names().map(|name| format!("{name}.json")).collect::<Vec<_>>());
    }

    #[test]
    fn selectors_are_those_of_the_signatures() {
        for contract in contracts() {
            for (signature, selector) in contract.selectors() {
                assert_eq!(selector, keccak256(signature)[..4], "{}: {signature}", contract.name);
            }
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let token = Contract::load("Token").unwrap();
        assert_eq!(token.call("steal()", &[]).unwrap_err().to_string(), "contract Token: no steal()");
        assert_eq!(token.slot("loot").unwrap_err().to_string(), "contract Token: no loot");
        assert!(Contract::load("Casino").is_err());
    }

    // The examples of the Solidity ABI specification and of its chapter on the layout of storage.
    #[test]
    fn encoding_equals_the_specification() {
        let numbers = vec![U256::from(0x456), U256::from(0x789)];
        let ten = FixedBytes::<32>::right_padding_from(b"1234567890");
        let args = [Arg::from(0x123_u64), Arg::Words(numbers), ten.into(), Arg::Bytes(b"Hello, world!".to_vec())];
        let expected = hex!(
            "0000000000000000000000000000000000000000000000000000000000000123"
            "0000000000000000000000000000000000000000000000000000000000000080"
            "3132333435363738393000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000e0"
            "0000000000000000000000000000000000000000000000000000000000000002"
            "0000000000000000000000000000000000000000000000000000000000000456"
            "0000000000000000000000000000000000000000000000000000000000000789"
            "000000000000000000000000000000000000000000000000000000000000000d"
            "48656c6c6f2c20776f726c642100000000000000000000000000000000000000"
        );
        assert_eq!(hex::encode(encode(&args)), hex::encode(expected));
        assert_eq!(mapping_slot(U256::ZERO, U256::ZERO), U256::from_be_bytes(keccak256([0; 64]).0));
    }
}
