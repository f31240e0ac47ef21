//! Calls and sequences from JSON lines, as `eth_call` and `eth_callMany` have them.

use super::overrides::{self, Cache};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use lockstep::{
    error::{Invalid, TxError},
    simulate::{AccessList, BlockOverrides, Call, Sequence, StateOverrides, WordType},
};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A sequence that is none.
#[derive(Debug)]
pub(super) struct BadSequence {
    /// The call at fault, where it is one.
    pub(super) call: Option<usize>,
    pub(super) error: TxError,
}

/// Reads lines. Overrides that are the same are shared.
#[derive(Debug, Default)]
pub(super) struct CallReader {
    states: Cache<StateOverrides>,
    blocks: Cache<BlockOverrides>,
}

impl CallReader {
    /// A line that is a call.
    pub(super) fn call_line(&mut self, line: Result<&[u8], String>) -> Result<Call, TxError> {
        let line = line.map_err(|reason| Invalid::new("line", reason))?;
        Ok(self.call(&json(line)?, line.len())?)
    }

    /// A line that is a sequence: an array of calls, or an object that has one in `calls`.
    pub(super) fn sequence_line(&mut self, line: Result<&[u8], String>) -> Result<Sequence, BadSequence> {
        let bad = |error: Invalid| BadSequence { call: None, error: error.into() };
        let line = line.map_err(|reason| bad(Invalid::new("line", reason)))?;
        let value = json(line).map_err(bad)?;
        let list = match &value {
            Value::Object(object) => match object.keys().find(|key| *key != "calls") {
                Some(key) => return Err(bad(Invalid::new("line", format!("unknown field {key:?}")))),
                None => object.get("calls").and_then(Value::as_array),
            },
            value => value.as_array(),
        };
        let list = list.ok_or_else(|| bad(Invalid::new("calls", "neither an array of calls nor {\"calls\":[…]}")))?;
        if list.is_empty() {
            return Err(bad(Invalid::new("calls", "there is none")));
        }
        let call = |(index, value)| {
            let error = |error: Invalid| BadSequence { call: Some(index), error: error.into() };
            self.call(value, line.len()).map_err(error)
        };
        Ok(Sequence { calls: list.iter().enumerate().map(call).collect::<Result<_, _>>()? })
    }

    /// A call from JSON of about so many bytes.
    pub(super) fn call(&mut self, value: &Value, bytes: usize) -> Result<Call, Invalid> {
        let object = value.as_object().ok_or_else(|| Invalid::new("line", "not a JSON object"))?;
        let mut call = Call::default();
        for (key, value) in object {
            self.field(&mut call, key, value, bytes)?;
        }
        match (object.get("data"), object.get("input")) {
            (Some(data), Some(input)) if data != input && !data.is_null() && !input.is_null() => {
                Err(Invalid::new("data", "differs from input: give one of them"))
            }
            _ => Ok(call),
        }
    }

    fn field(&mut self, call: &mut Call, key: &str, value: &Value, bytes: usize) -> Result<(), Invalid> {
        // What is null is as if it were not there.
        let is = !value.is_null();
        match key {
            "from" if is => call.from = named("from", address(value))?,
            "to" if is => call.to = Some(named("to", address(value))?),
            "value" if is => call.value = named("value", number(value, 256))?,
            "gas" if is => call.gas = Some(named("gas", number(value, 64))?.to()),
            "data" if is => call.input = named("data", data(value))?,
            "input" if is => call.input = named("input", data(value))?,
            "accessList" if is => call.access_list = named("accessList", access_list(value))?,
            "stateOverrides" if is => {
                let state = self.states.get(value, bytes, overrides::state);
                call.state = Some(named("stateOverrides", state)?);
            }
            "blockOverrides" if is => {
                let block = self.blocks.get(value, bytes, overrides::block);
                call.block = Some(named("blockOverrides", block)?);
            }
            "from" | "to" | "value" | "gas" | "data" | "input" | "accessList" | "stateOverrides" | "blockOverrides" => {
            }
            _ => return Err(Invalid::new("line", format!("unknown field {key:?}"))),
        }
        Ok(())
    }
}

/// The JSON of a line.
pub(super) fn json(line: &[u8]) -> Result<Value, Invalid> {
    serde_json::from_slice(line).map_err(|cause| {
        // Where it says "line", it means within what it was given.
        let text = cause.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        Invalid::new("line", format!("not JSON: {reason} at column {}", cause.column()))
    })
}

fn named<T>(field: &'static str, value: Result<T, String>) -> Result<T, Invalid> {
    value.map_err(|reason| Invalid::new(field, reason))
}

/// A scalar as text.
pub(super) fn text(value: &Value) -> Result<Cow<'_, str>, String> {
    match value {
        Value::String(text) => Ok(text.into()),
        Value::Bool(flag) => Ok(flag.to_string().into()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string().into()),
        Value::Number(_) => {
            Err(format!("{value} is not an integer of at most 64 bits: larger ones are written as strings"))
        }
        _ => Err(format!("{value} is neither a string nor a number")),
    }
}

pub(super) fn word(value: &Value, kind: WordType) -> Result<U256, String> {
    kind.parse(&text(value)?).map_err(|error| error.to_string())
}

pub(super) fn number(value: &Value, bits: u16) -> Result<U256, String> {
    word(value, WordType::Uint(bits))
}

pub(super) fn address(value: &Value) -> Result<Address, String> {
    Ok(Address::from_word(word(value, WordType::Address)?.into()))
}

pub(super) fn hash(value: &Value) -> Result<B256, String> {
    Ok(word(value, WordType::Bytes(32))?.into())
}

pub(super) fn data(value: &Value) -> Result<Bytes, String> {
    bytes(value.as_str().ok_or_else(|| format!("{value} is not a string of hex"))?)
}

/// Bytes in hex.
pub(super) fn bytes(text: &str) -> Result<Bytes, String> {
    let digits = text.strip_prefix("0x").ok_or("hex without 0x")?;
    hex::decode(digits).map(Bytes::from).map_err(|cause| cause.to_string())
}

/// The members of an object; an error names the one at fault.
pub(super) fn members(value: &Value, mut member: impl FnMut(&str, &Value) -> Result<(), String>) -> Result<(), String> {
    let object: &Map<String, Value> = value.as_object().ok_or_else(|| format!("{value} is not an object"))?;
    object.iter().try_for_each(|(key, value)| member(key, value).map_err(|reason| format!("{key}: {reason}")))
}

fn access_list(value: &Value) -> Result<AccessList, String> {
    let list = value.as_array().ok_or_else(|| format!("{value} is not an array"))?;
    let entry = |(index, value): (usize, &Value)| {
        let mut account = None;
        let mut keys = Vec::new();
        let read = members(value, |key, value| {
            match key {
                "address" => account = Some(address(value)?),
                "storageKeys" => {
                    let list = value.as_array().ok_or_else(|| format!("{value} is not an array"))?;
                    keys = list.iter().map(hash).collect::<Result<_, _>>()?;
                }
                _ => return Err("unknown field".into()),
            }
            Ok(())
        });
        let account = read.and_then(|()| account.ok_or_else(|| "address: missing".into()));
        account.map(|account| (account, keys)).map_err(|reason| format!("entry {index}: {reason}"))
    };
    list.iter().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn read(value: &Value) -> Result<Call, String> {
        let line = value.to_string();
        CallReader::default().call_line(Ok(line.as_bytes())).map_err(|error| error.to_string())
    }

    #[test]
    fn every_field_is_read() {
        let [from, to] = [1, 2].map(Address::repeat_byte);
        let key = B256::repeat_byte(3);
        let call = read(&json!({
            "from": from, "to": to, "value": "1000000000000000000000", "gas": 50_000, "data": "0x0102", "input": "0x0102",
            "accessList": [{"address": to, "storageKeys": [key]}, {"address": from}],
        }));
        let value = U256::from(10).pow(U256::from(21));
        let access_list = vec![(to, vec![key]), (from, vec![])];
        let expected = Call { from, to: Some(to), value, input: vec![1, 2].into(), access_list, ..Call::default() };
        assert_eq!(call, Ok(expected.with_gas(50_000)));
        assert_eq!(read(&json!({"to": null, "gas": null})), Ok(Call::default()));
    }

    #[test]
    fn errors_name_the_field() {
        for (value, start) in [
            (json!({"frm": "0x"}), "line: unknown field \"frm\""),
            (json!({"gasPrice": null}), "line: unknown field \"gasPrice\""),
            (json!({"from": "0x01"}), "from: \"0x01\" is no address"),
            (json!({"value": 1.5}), "value: 1.5 is not an integer"),
            (json!({"value": -1}), "value: \"-1\" is no uint256"),
            (json!({"value": []}), "value: [] is neither"),
            (json!({"gas": "0x10000000000000000"}), "gas: \"0x10000000000000000\" is no uint64"),
            (json!({"data": "0x1"}), "data: "),
            (json!({"data": "01"}), "data: hex without 0x"),
            (json!({"data": 1}), "data: 1 is not a string"),
            (json!({"data": "0x01", "input": "0x02"}), "data: differs from input"),
            (json!({"accessList": [{"storageKeys": []}]}), "accessList: entry 0: address: missing"),
            (json!({"accessList": [{"address": "0x1"}]}), "accessList: entry 0: address: \"0x1\""),
            (json!({"accessList": [{"slots": []}]}), "accessList: entry 0: slots: unknown field"),
            (json!([]), "line: not a JSON object"),
        ] {
            let error = read(&value).unwrap_err();
            assert!(error.starts_with(start), "{error}, expected {start}");
        }
        let error = CallReader::default().call_line(Ok(b"{\"to\" 1}")).unwrap_err();
        assert_eq!(error.to_string(), "line: not JSON: expected `:` at column 7");
    }

    #[test]
    fn sequences_are_arrays_or_in_an_object() {
        let read = |text: &str| CallReader::default().sequence_line(Ok(text.as_bytes()));
        for text in ["[{},{\"gas\":1}]", "{\"calls\":[{},{\"gas\":1}]}"] {
            assert_eq!(read(text).unwrap().calls, [Call::default(), Call::default().with_gas(1)]);
        }
        for (text, call, start) in [
            ("[{},{\"gas\":true}]", Some(1), "gas: "),
            ("[]", None, "calls: there is none"),
            ("{}", None, "calls: neither"),
            ("{\"calls\":[],\"x\":1}", None, "line: unknown field \"x\""),
            ("7", None, "calls: neither"),
        ] {
            let bad = read(text).unwrap_err();
            assert!(bad.call == call && bad.error.to_string().starts_with(start), "{text}: {bad:?}");
        }
    }

    #[test]
    fn the_same_overrides_are_shared() {
        let mut reader = CallReader::default();
        let mut line = |number: u64| {
            let value = json!({"blockOverrides": {"number": number}});
            reader.call(&value, 40).unwrap().block.unwrap()
        };
        let (one, two, again) = (line(1), line(2), line(1));
        assert!(Arc::ptr_eq(&one, &again) && !Arc::ptr_eq(&one, &two));
    }
}
