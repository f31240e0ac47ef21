//! The signature of a contract's function, as far as its parameters are of one word each.

use super::WordType;
use crate::error::Invalid;
use alloy_primitives::keccak256;

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, where it has one: for people, it is no part of the selector.
    pub name: Option<String>,
    /// Its type.
    pub kind: WordType,
}

/// A function whose parameters are of one word each: its calldata is a selector and a word for each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// In order.
    pub parameters: Vec<Parameter>,
    /// The first four bytes of the hash of its canonical signature.
    pub selector: [u8; 4],
}

impl Function {
    /// Reads `transfer(address to,uint256 amount)`; names of parameters can be left out.
    ///
    /// # Errors
    /// It is no signature, or a parameter has a type of other than one word, which is named.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let error = |reason: String| Invalid::new("function", reason);
        let parts = text.trim().split_once('(').and_then(|(name, rest)| Some((name.trim(), rest.strip_suffix(')')?)));
        let (name, inside) = parts
            .filter(|(name, _)| is_identifier(name))
            .ok_or_else(|| error(format!("{text:?} is not like transfer(address to,uint256 amount)")))?;
        if inside.contains(['(', ')']) {
            return Err(error(format!("{text:?}: a tuple takes several words")));
        }
        let list = if inside.trim().is_empty() { Vec::new() } else { inside.split(',').collect() };
        let mut parameters: Vec<Parameter> = Vec::with_capacity(list.len());
        for (index, text) in list.into_iter().enumerate() {
            let parameter = parameter(text).map_err(|reason| error(format!("parameter {index}: {reason}")))?;
            if parameter.name.is_some() && parameters.iter().any(|known| known.name == parameter.name) {
                return Err(error(format!("parameter {index}: {text:?}: the name is taken")));
            }
            parameters.push(parameter);
        }
        let kinds: Vec<_> = parameters.iter().map(|parameter| parameter.kind.to_string()).collect();
        let hash = keccak256(format!("{name}({})", kinds.join(",")));
        let selector = [hash[0], hash[1], hash[2], hash[3]];
        Ok(Self { name: name.to_owned(), parameters, selector })
    }

    /// The byte of the calldata at which a parameter's word starts.
    pub const fn offset(parameter: usize) -> usize {
        4 + 32 * parameter
    }

    /// The selector, and a zero for each parameter.
    pub(super) fn blank_input(&self) -> Vec<u8> {
        let mut input = self.selector.to_vec();
        input.resize(Self::offset(self.parameters.len()), 0);
        input
    }
}

fn is_identifier(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    !text.is_empty() && text.bytes().all(plain) && !text.as_bytes()[0].is_ascii_digit()
}

fn parameter(text: &str) -> Result<Parameter, String> {
    let mut words = text.split_whitespace();
    let kind = words.next().ok_or("it is empty")?;
    let kind: WordType = kind.parse().map_err(|error: super::NoWordType| error.to_string())?;
    let mut name = words.next();
    if kind == WordType::Address && name == Some("payable") {
        name = words.next();
    }
    if words.next().is_some() || name.is_some_and(|name| !is_identifier(name)) {
        return Err(format!("{text:?} is not a type and a name"));
    }
    Ok(Parameter { name: name.map(str::to_owned), kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn selectors_are_those_of_the_specification() {
        // `baz` of the Solidity ABI specification; `transfer` of ERC-20.
        for text in ["baz(uint32,bool)", " baz ( uint32 x , bool y ) "] {
            assert_eq!(Function::parse(text).unwrap().selector, hex!("cdcd77c0"));
        }
        let transfer = Function::parse("transfer(address payable to,uint amount)").unwrap();
        assert_eq!(transfer.selector, hex!("a9059cbb"));
        assert_eq!(transfer.parameters[0], Parameter { name: Some("to".into()), kind: WordType::Address });
        assert_eq!(transfer.parameters[1].kind, WordType::Uint(256));
        assert!(Function::parse("pause()").unwrap().parameters.is_empty());
    }

    #[test]
    fn what_cannot_be_taken_is_named() {
        for (text, part) in [
            ("transferMany(address[] to,uint256)", "parameter 0: address[] is dynamic"),
            ("f(uint8,string name)", "parameter 1: string is dynamic"),
            ("f(uint8[2] pair)", "parameter 0: uint8[2] takes several words"),
            ("f((uint8,bool) pair)", "a tuple takes several words"),
            ("f(uint8 a,bool a)", "parameter 1: \"bool a\": the name is taken"),
            ("f(uint8,)", "parameter 1: it is empty"),
            ("f(uint8 a b)", "parameter 0: \"uint8 a b\" is not a type and a name"),
            ("f(uint8) view", "is not like"),
            ("f", "is not like"),
            ("1(bool)", "is not like"),
            ("", "is not like"),
        ] {
            let error = Function::parse(text).unwrap_err();
            assert!(error.field == "function" && error.reason.contains(part), "{text}: {error}");
        }
    }
}
