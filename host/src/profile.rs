//! What an engine has learned of the blocks that it executed on a device or by a [`Schedule`](crate::parallel::Schedule), to be kept from
//! run to run: names that conflicts were about, what calls take, which get in others' way, and where programs look. Only ever a hint: a
//! wrong one costs time, never a result.

use crate::{
    access::{DEPTH, Formula, Known, Learned, MOST, Program, ProgramId, Slot, Step, WORDS, Word},
    forecast::{Call, Forecast},
};
use alloy_primitives::{FixedBytes, map::HashMap};
use serde_json::{Value, json};
use std::{str::FromStr, time::Duration};

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
    /// From JSON: `format` is `lockstep-profile/1`; `names` are pairs of a name (eight bytes of an address or a slot, in hex) that
    /// conflicts were about, and for how many blocks it is remembered (64 at most); `calls` are rows of a call (target and selector,
    /// folded into eight bytes, in hex), the nanoseconds that it takes, and, where that was watched, the place of what it runs among
    /// the programs. `partners`, `programs` and `conflicts` may be missing. A partner is a row of a call, one that got in its way though
    /// they share no name, and for how many blocks that is remembered.
    ///
    /// A program is an object: `code` and `selector`; `runs` that were watched; `gas` and `nanos` that one takes; how many keys the
    /// latest looked at that were `missed`; and `keys`, each a row of an account, how many of the runs looked there, whether one
    /// wrote, whether conflicts were about it, and for a slot its base, the keys that it is hashed with, each with
    /// whether that comes first, and how far behind the
    /// last hash it lies. An account and a key are words: `sender`, `target`, `argument 2` (from 0 on, behind the selector), or a number
    /// in hex. `conflicts` are pairs of a code's hash and for how many blocks it is remembered that its slots were contested.
    ///
    /// # Errors
    /// The first member that is not so; too many of a kind (65,536 names, calls and partners are remembered, 4,096 programs and
    /// conflicts, 32 keys of a program).
    pub fn parse(json: &[u8]) -> Result<Self, ProfileError> {
        let value: Value = serde_json::from_slice(json).map_err(|error| bad("profile", error.to_string()))?;
        if value["format"] != FORMAT {
            return Err(bad("format", format!("{} instead of {FORMAT:?}", value["format"])));
        }
        let (mut forecast, none) = (Forecast::default(), Vec::new());
        let rows = |field: &'static str| value[field].as_array().ok_or_else(|| bad(field, "no array"));
        for (index, row) in rows("names")?.iter().enumerate() {
            let (Some(name), Some(left)) = (name(&row[0]), count(&row[1])) else {
                return Err(bad(format!("names[{index}]"), "not a name of eight bytes and a number below 2^32"));
            };
            forecast.put_name(name, left).ok_or_else(|| bad("names", "too many"))?;
        }
        let rows_if_any = |field: &'static str| if value[field].is_null() { Ok(&none) } else { rows(field) };
        for (index, row) in rows_if_any("partners")?.iter().enumerate() {
            let (Some(call), Some(by), Some(left)) = (name(&row[0]), name(&row[1]), count(&row[2])) else {
                return Err(bad(format!("partners[{index}]"), "not two calls of eight bytes and a number below 2^32"));
            };
            forecast.put_partner(call, by, left).ok_or_else(|| bad("partners", "too many"))?;
        }
        let mut programs = Vec::new();
        for (index, row) in rows_if_any("programs")?.iter().enumerate() {
            let (program, known) = program_of(row, &format!("programs[{index}]"))?;
            programs.push(ProgramId::of(&program));
            forecast.programs.put(program, known).ok_or_else(|| bad("programs", "too many"))?;
        }
        for (index, row) in rows_if_any("conflicts")?.iter().enumerate() {
            let code = hex(&row[0]).zip(count(&row[1]));
            let Some((code_hash, left)) = code else {
                return Err(bad(format!("conflicts[{index}]"), "not a code's hash and a number below 2^32"));
            };
            forecast.programs.put_conflict(code_hash, left).ok_or_else(|| bad("conflicts", "too many"))?;
        }
        for (index, row) in rows("calls")?.iter().enumerate() {
            let program = match &row[2] {
                Value::Null => Some(None),
                place => place.as_u64().and_then(|place| Some(Some(*programs.get(usize::try_from(place).ok()?)?))),
            };
            let (Some(call), Some(nanos), Some(program)) = (name(&row[0]), row[1].as_u64(), program) else {
                return Err(bad(
                    format!("calls[{index}]"),
                    "not a call of eight bytes, nanoseconds and a program's place",
                ));
            };
            let took = Duration::from_nanos(nanos);
            forecast.put_call(call, Call { took, program, measured: false }).ok_or_else(|| bad("calls", "too many"))?;
        }
        Ok(Self(forecast))
    }

    /// The same JSON, in order of names, calls and programs.
    pub fn to_json(&self) -> String {
        let hex = |name: u64| format!("{name:#018x}");
        let names: Vec<_> = self.0.names().map(|(name, left)| json!([hex(name), left])).collect();
        let places: HashMap<_, _> =
            self.0.programs.iter().map(|(program, _)| ProgramId::of(program)).zip(0..).collect();
        let place = |program: Option<ProgramId>| program.and_then(|program| places.get(&program));
        let calls: Vec<_> = self
            .0
            .calls()
            .map(|(call, known)| match place(known.program) {
                Some(place) => json!([hex(call), nanos(known.took), place]),
                None => json!([hex(call), nanos(known.took)]),
            })
            .collect();
        let programs: Vec<_> = self.0.programs.iter().map(|(program, known)| program_json(program, known)).collect();
        let conflicts: Vec<_> = self.0.programs.conflicts().collect();
        let partners: Vec<_> = self.0.partners().map(|(call, by, left)| json!([hex(call), hex(by), left])).collect();
        json!({
            "format": FORMAT, "names": names, "calls": calls, "partners": partners, "programs": programs, "conflicts": conflicts,
        })
        .to_string()
    }
}

fn nanos(took: Duration) -> u64 {
    took.as_nanos().try_into().unwrap_or(u64::MAX)
}

fn program_json((code_hash, selector): &Program, known: &Known) -> Value {
    let keys: Vec<_> = known
        .learned
        .iter()
        .map(|Learned { formula, hits, writes, contested }| {
            let account = word_text(formula.account);
            match &formula.slot {
                None => json!([account, hits, writes, contested]),
                Some(Slot { base, steps, behind }) => {
                    let steps: Vec<_> = steps.iter().map(|step| json!([word_text(step.key), step.key_first])).collect();
                    json!([account, hits, writes, contested, base, steps, behind])
                }
            }
        })
        .collect();
    json!({
        "code": code_hash, "selector": FixedBytes(*selector), "runs": known.runs, "gas": known.gas, "nanos": nanos(known.took),
        "missed": known.missed, "keys": keys,
    })
}

fn program_of(value: &Value, field: &str) -> Result<(Program, Known), ProfileError> {
    let of = |member: &str, reason: &'static str| bad(format!("{field}.{member}"), reason);
    let number = |member| value[member].as_u64().ok_or_else(|| of(member, "no number below 2^64"));
    let count = |member| count(&value[member]).ok_or_else(|| of(member, "no number below 2^32"));
    let code_hash = hex(&value["code"]).ok_or_else(|| of("code", "no hash of 32 bytes in hex"))?;
    let selector: FixedBytes<4> = hex(&value["selector"]).ok_or_else(|| of("selector", "no four bytes in hex"))?;
    let rows = value["keys"].as_array().ok_or_else(|| of("keys", "no array"))?;
    if rows.len() > MOST {
        return Err(of("keys", "too many"));
    }
    let key = |(index, row)| key_of(row).ok_or_else(|| of(&format!("keys[{index}]"), "not a key"));
    let known = Known {
        runs: count("runs")?,
        gas: number("gas")?,
        took: Duration::from_nanos(number("nanos")?),
        missed: count("missed")?,
        learned: rows.iter().enumerate().map(key).collect::<Result<_, _>>()?,
    };
    Ok(((code_hash, selector.0), known.plausible()))
}

/// Hex of the length that is asked for, or a number in hex.
fn hex<T: FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.strip_prefix("0x").filter(|digits| !digits.is_empty())?;
    value.as_str()?.parse().ok()
}

fn key_of(row: &Value) -> Option<Learned> {
    let step = |step: &Value| Some(Step { key: word_of(&step[0])?, key_first: step[1].as_bool()? });
    let slot = match &row[4] {
        Value::Null => None,
        base => Some(Slot {
            base: hex(base)?,
            steps: row[5].as_array().filter(|steps| steps.len() <= DEPTH)?.iter().map(step).collect::<Option<_>>()?,
            behind: row[6].as_u64()?,
        }),
    };
    let formula = Formula { account: word_of(&row[0])?, slot };
    Some(Learned { formula, hits: count(&row[1])?, writes: row[2].as_bool()?, contested: row[3].as_bool()? })
}

fn word_text(word: Word) -> String {
    match word {
        Word::Sender => "sender".to_owned(),
        Word::Target => "target".to_owned(),
        Word::Argument(index) => format!("argument {index}"),
        Word::Constant(word) => format!("{word:#x}"),
    }
}

fn word_of(value: &Value) -> Option<Word> {
    match value.as_str()? {
        "sender" => Some(Word::Sender),
        "target" => Some(Word::Target),
        text => match text.strip_prefix("argument ") {
            Some(index) => index.parse().ok().filter(|index| *index < WORDS).map(Word::Argument),
            None => hex(value).map(Word::Constant),
        },
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
    use alloy_primitives::B256;

    #[test]
    fn it_comes_back_as_it_went() {
        let text = r#"{"calls":[["0x00000000000000ff",7,0],["0xffffffffffffffff",1000000000]],"format":"lockstep-profile/1","names":[["0x0000000000000001",2]],
            "partners":[["0x0000000000000001","0x00000000000000ff",3]],
            "conflicts":[["0x0101010101010101010101010101010101010101010101010101010101010101",3]],
            "programs":[{"code":"0x0101010101010101010101010101010101010101010101010101010101010101","selector":"0x01020304","runs":4,"gas":50000,"nanos":900,
                "missed":1,"keys":[["target",4,true,true,"0x2",[["sender",true],["argument 1",false]],1],["0x8",2,false,false]]}]}"#;
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value(&Profile::parse(text.as_bytes()).unwrap().to_json()), value(text));
        let none = Profile::default().to_json();
        assert_eq!(Profile::parse(none.as_bytes()).unwrap().to_json(), none);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let of =
            |names: &str, calls: &str| format!(r#"{{"format":"lockstep-profile/1","names":{names},"calls":{calls}}}"#);
        let program = |selector: &str, runs: u64, keys: &str| {
            let code = B256::repeat_byte(1);
            format!(
                r#"[],"programs":[{{"code":"{code}","selector":"{selector}","runs":{runs},"gas":1,"nanos":1,"missed":0,"keys":[{keys}]}}]"#
            )
        };
        assert!(Profile::parse(of("[]", &program("0x01020304", 4_294_967_295, "")).as_bytes()).is_ok());
        for (text, field) in [
            ("{".to_owned(), "profile"),
            ("[]".to_owned(), "format"),
            (r#"{"format":"lockstep-profile/2"}"#.to_owned(), "format"),
            (of("7", "[]"), "names"),
            (of(r#"[["0x1",1]]"#, "[]"), "names[0]"),
            (of(r#"[["0x0000000000000001",4294967296]]"#, "[]"), "names[0]"),
            (of("[]", "{}"), "calls"),
            (of("[]", r#"[["0x0000000000000001",1],["0x0000000000000001",-1]]"#), "calls[1]"),
            (of("[]", r#"[["0x0000000000000001",1,0]]"#), "calls[0]"),
            (of("[]", r#"[],"programs":[{}]"#), "programs[0].code"),
            (of("[]", &program("0x01020304", 4_294_967_296, "")), "programs[0].runs"),
            (of("[]", &program("0x010203", 4, "")), "programs[0].selector"),
            (
                of("[]", &program("0x01020304", 4, r#"["target",1,true,true],["argument 16",1,true,true]"#)),
                "programs[0].keys[1]",
            ),
            (of("[]", &program("0x01020304", 4, r#"["",1,true,true]"#)), "programs[0].keys[0]"),
            (of("[]", &program("0x01020304", 4, r#"["12",1,true,true]"#)), "programs[0].keys[0]"),
            (of("[]", &program("0x01020304", 4, r#"["target",1,true,true,"",[],0]"#)), "programs[0].keys[0]"),
            (of("[]", &program("0x01020304", 4, &[r#"["target",1,true,true]"#; 33].join(","))), "programs[0].keys"),
            (of("[]", r#"[],"conflicts":[["0x01",1]]"#), "conflicts[0]"),
            (of("[]", r#"[],"partners":[["0x0000000000000001","0x1",1]]"#), "partners[0]"),
        ] {
            assert_eq!(Profile::parse(text.as_bytes()).unwrap_err().field, field, "{text}");
        }
        let row = |index: u64| format!(r#"["{index:#018x}",1]"#);
        let many = |count| of("[]", &format!("[{}]", (0..count).map(row).collect::<Vec<_>>().join(",")));
        assert!(Profile::parse(many(1 << 16).as_bytes()).is_ok());
        assert_eq!(Profile::parse(many((1 << 16) + 1).as_bytes()).unwrap_err().field, "calls");
    }
}
