//! What an engine has learned of the blocks that it executed by a [`Schedule`](crate::parallel::Schedule), to be kept from run to run: names that conflicts were
//! about, and what calls take. Only ever a hint: a wrong one costs time, never a result.

use crate::forecast::Forecast;
use serde_json::{Value, json};

/// What the first member of a profile says.
const FORMAT: &str = "lockstep-profile/1";

/// See the module. By [`Engine::profile`](crate::engine::Engine::profile) and to
/// [`EngineBuilder::profile`](crate::engine::EngineBuilder::profile).
#[derive(Clone, Debug, Default)]
pub struct Profile(pub(crate) Forecast);

/// Why a file is no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ProfileError {
    /// The member, as in `names[3]`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

fn bad(field: impl Into<String>, reason: impl Into<String>) -> ProfileError {
    ProfileError { field: field.into(), reason: reason.into() }
}

impl Profile {
    /// From JSON: `format` is `lockstep-profile/1`; `names` are pairs of a name (the last eight bytes of an address, in hex) that
    /// conflicts were about, and for how many blocks it is remembered (64 at most); `calls` are pairs of a call (target and selector,
    /// folded into eight bytes, in hex) and the nanoseconds that it takes.
    ///
    /// # Errors
    /// The first member that is not so; too many of a kind (65,536 are remembered).
    pub fn parse(json: &[u8]) -> Result<Self, ProfileError> {
        let value: Value = serde_json::from_slice(json).map_err(|error| bad("profile", error.to_string()))?;
        if value["format"] != FORMAT {
            return Err(bad("format", format!("{} instead of {FORMAT:?}", value["format"])));
        }
        let mut forecast = Forecast::default();
        let rows = |field: &'static str| value[field].as_array().ok_or_else(|| bad(field, "no array"));
        for (index, row) in rows("names")?.iter().enumerate() {
            let (Some(name), Some(left)) = (name(&row[0]), count(&row[1])) else {
                return Err(bad(format!("names[{index}]"), "not a name of eight bytes and a number below 2^32"));
            };
            forecast.put_name(name, left).ok_or_else(|| bad("names", "too many"))?;
        }
        for (index, row) in rows("calls")?.iter().enumerate() {
            let (Some(call), Some(nanos)) = (name(&row[0]), row[1].as_u64()) else {
                return Err(bad(format!("calls[{index}]"), "not a call of eight bytes and nanoseconds"));
            };
            forecast.put_cost(call, nanos).ok_or_else(|| bad("calls", "too many"))?;
        }
        Ok(Self(forecast))
    }

    /// The same JSON, in order of names and calls.
    pub fn to_json(&self) -> String {
        let hex = |name: u64| format!("{name:#018x}");
        let names: Vec<_> = self.0.names().map(|(name, left)| json!([hex(name), left])).collect();
        let calls: Vec<_> = self.0.costs().map(|(call, nanos)| json!([hex(call), nanos])).collect();
        json!({"format": FORMAT, "names": names, "calls": calls}).to_string()
    }
}

fn name(value: &Value) -> Option<u64> {
    let digits = value.as_str()?.strip_prefix("0x").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

fn count(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_went() {
        let text = r#"{"calls":[["0x00000000000000ff",7],["0xffffffffffffffff",1000000000]],"format":"lockstep-profile/1","names":[["0x0000000000000001",2]]}"#;
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value(&Profile::parse(text.as_bytes()).unwrap().to_json()), value(text));
        let none = Profile::default().to_json();
        assert_eq!(Profile::parse(none.as_bytes()).unwrap().to_json(), none);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let of =
            |names: &str, calls: &str| format!(r#"{{"format":"lockstep-profile/1","names":{names},"calls":{calls}}}"#);
        for (text, field) in [
            ("{".to_owned(), "profile"),
            ("[]".to_owned(), "format"),
            (r#"{"format":"lockstep-profile/2"}"#.to_owned(), "format"),
            (of("7", "[]"), "names"),
            (of(r#"[["0x1",1]]"#, "[]"), "names[0]"),
            (of(r#"[["0x0000000000000001",4294967296]]"#, "[]"), "names[0]"),
            (of("[]", "{}"), "calls"),
            (of("[]", r#"[["0x0000000000000001",1],["0x0000000000000001",-1]]"#), "calls[1]"),
        ] {
            assert_eq!(Profile::parse(text.as_bytes()).unwrap_err().field, field, "{text}");
        }
        let row = |index: u64| format!(r#"["{index:#018x}",1]"#);
        let many = |count| of("[]", &format!("[{}]", (0..count).map(row).collect::<Vec<_>>().join(",")));
        assert!(Profile::parse(many(1 << 16).as_bytes()).is_ok());
        assert_eq!(Profile::parse(many((1 << 16) + 1).as_bytes()).unwrap_err().field, "calls");
    }
}
