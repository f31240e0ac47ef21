//! Fields of a test file: JSON values that know where they stand, so that an error names the place.

use super::Malformed;
use alloy_primitives::{Address, Bytes, U256, hex};
use serde_json::{Map, Value};
use std::{fmt, str::FromStr};

/// A JSON value and the path that leads to it from its test case.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    /// The top of a case.
    pub(super) const fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    pub(super) fn error(&self, reason: impl fmt::Display) -> Malformed {
        let field = if self.path.is_empty() { "case".into() } else { self.path.clone() };
        Malformed { field, reason: reason.to_string() }
    }

    fn child(&self, key: &str, value: &'a Value) -> Self {
        let path = if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) };
        Node { value, path }
    }

    fn object(&self) -> Result<&'a Map<String, Value>, Malformed> {
        self.value.as_object().ok_or_else(|| self.error("not an object"))
    }

    /// A required member.
    pub(super) fn get(&self, key: &str) -> Result<Self, Malformed> {
        let value = self.object()?.get(key).unwrap_or(&Value::Null);
        let child = self.child(key, value);
        if value.is_null() { Err(child.error("missing")) } else { Ok(child) }
    }

    /// A member that may be absent or null.
    pub(super) fn optional(&self, key: &str) -> Result<Option<Self>, Malformed> {
        Ok(self.object()?.get(key).filter(|value| !value.is_null()).map(|value| self.child(key, value)))
    }

    pub(super) fn members(&self) -> Result<impl Iterator<Item = (&'a str, Self)>, Malformed> {
        Ok(self.object()?.iter().map(|(key, value)| (key.as_str(), self.child(key, value))))
    }

    pub(super) fn elements(&self) -> Result<impl ExactSizeIterator<Item = Self>, Malformed> {
        let values = self.value.as_array().ok_or_else(|| self.error("not an array"))?;
        Ok(values.iter().enumerate().map(|(index, value)| self.child(&index.to_string(), value)))
    }

    /// The element of an array at an index that the file itself gives.
    pub(super) fn element(&self, index: usize) -> Result<Self, Malformed> {
        let mut elements = self.elements()?;
        let len = elements.len();
        elements.nth(index).ok_or_else(|| self.error(format!("index {index} of {len}")))
    }

    pub(super) fn is_null(&self) -> bool {
        self.value.is_null()
    }

    pub(super) fn text(&self) -> Result<&'a str, Malformed> {
        self.value.as_str().ok_or_else(|| self.error("not a string"))
    }

    /// A quantity in hex with any number of leading zeros; `None` above 256 bits, as tests of what cannot be encoded have it
    /// (`0x:bigint 0x…`).
    pub(super) fn wide(&self) -> Result<Option<U256>, Malformed> {
        let text = self.text()?;
        let digits = text.strip_prefix("0x:bigint ").unwrap_or(text).strip_prefix("0x");
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(|| self.error(format!("{text:?} is not a quantity in hex")))?;
        let digits = digits.trim_start_matches('0');
        match digits.len() {
            0 => Ok(Some(U256::ZERO)),
            1..=64 => Ok(U256::from_str_radix(digits, 16).ok()),
            _ => Ok(None),
        }
    }

    pub(super) fn u256(&self) -> Result<U256, Malformed> {
        self.wide()?.ok_or_else(|| self.error("exceeds 256 bits"))
    }

    pub(super) fn u64(&self) -> Result<u64, Malformed> {
        let value = self.u256()?;
        u64::try_from(value).map_err(|_| self.error(format!("{value} exceeds 64 bits")))
    }

    /// A JSON number, as indexes are.
    pub(super) fn index(&self) -> Result<usize, Malformed> {
        let index = self.value.as_u64().and_then(|index| usize::try_from(index).ok());
        index.ok_or_else(|| self.error("not an index"))
    }

    pub(super) fn bytes(&self) -> Result<Bytes, Malformed> {
        let text = self.text()?;
        let digits = if text.is_empty() { "" } else { text.strip_prefix("0x").unwrap_or("-") };
        hex::decode(digits).map(Bytes::from).map_err(|_| self.error("not bytes in hex"))
    }

    /// Exactly as many bytes as the type has.
    pub(super) fn fixed<T: for<'b> TryFrom<&'b [u8]>>(&self) -> Result<T, Malformed> {
        let bytes = self.bytes()?;
        T::try_from(&bytes).map_err(|_| self.error(format!("{} bytes where {} are due", bytes.len(), size_of::<T>())))
    }

    /// An address, or `None` where the text is empty: a creation.
    pub(super) fn target(&self) -> Result<Option<Address>, Malformed> {
        if self.bytes()?.is_empty() { Ok(None) } else { self.fixed().map(Some) }
    }

    /// A member's key.
    pub(super) fn key<T: FromStr>(&self, text: &str) -> Result<T, Malformed> {
        text.parse().map_err(|_| self.error("the key is not hex of the right length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities() {
        let wide = |value: Value| Node::root(&value).wide();
        assert_eq!(wide(json!("0x")), Ok(Some(U256::ZERO)));
        assert_eq!(wide(json!("0x000a")), Ok(Some(U256::from(10))));
        assert_eq!(wide(json!(format!("0x{}", "f".repeat(64)))), Ok(Some(U256::MAX)));
        assert_eq!(wide(json!(format!("0x:bigint 0x1{}", "0".repeat(64)))), Ok(None));
        for bad in [json!(""), json!("10"), json!("0xg"), json!(10), json!("0x-1"), json!("0x+1")] {
            assert!(wide(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_names_the_path() {
        let value = json!({"pre": {"a": [{"nonce": "x"}]}});
        let root = Node::root(&value);
        let node = root.get("pre").unwrap().get("a").unwrap().element(0).unwrap();
        assert_eq!(node.get("nonce").unwrap().u64().unwrap_err().field, "pre.a.0.nonce");
        assert_eq!(node.get("code").unwrap_err().to_string(), "pre.a.0.code: missing");
        assert!(root.get("pre").unwrap().get("a").unwrap().element(1).is_err());
    }
}
