//! Calls from the rows of a CSV (RFC 4180, one row a line): either their fields, or the arguments of a template.

use super::{calls::bytes, template::Bound};
use alloy_primitives::{Address, U256};
use lockstep::{
    error::{Invalid, TxError},
    simulate::{Call, WordType},
};
use std::borrow::Cow;

/// A field of a call that a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    From,
    To,
    Value,
    Gas,
    Data,
}

/// What rows mean.
#[derive(Debug)]
pub(super) enum Rows {
    /// Fields of a call, by column.
    Fields(Fields),
    /// Values of a template, by column.
    Values(Bound),
}

/// The columns of a CSV without a template.
#[derive(Debug)]
pub(super) struct Fields(Vec<Field>);

impl Fields {
    /// # Errors
    /// The column that is unknown, or given twice.
    pub(super) fn of(header: &[String]) -> Result<Self, String> {
        let mut fields = Vec::new();
        for name in header {
            let field = match name.as_str() {
                "from" => Field::From,
                "to" => Field::To,
                "value" => Field::Value,
                "gas" => Field::Gas,
                "data" | "input" => Field::Data,
                _ => {
                    let hint = "a CSV of calls has from, to, value, data, gas; for other columns there is --template";
                    return Err(format!("unknown column {name:?}: {hint}"));
                }
            };
            if fields.contains(&field) {
                return Err(format!("column {name:?} is there twice"));
            }
            fields.push(field);
        }
        Ok(Self(fields))
    }

    /// An empty cell is as if there was no column.
    fn read(&self, cells: &[Cow<'_, str>]) -> Result<Call, Invalid> {
        let mut call = Call::default();
        for (field, cell) in self.0.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            let word = |name, kind: WordType| -> Result<U256, Invalid> {
                kind.parse(cell).map_err(|error| Invalid::new(name, error.to_string()))
            };
            match field {
                Field::From => call.from = Address::from_word(word("from", WordType::Address)?.into()),
                Field::To => call.to = Some(Address::from_word(word("to", WordType::Address)?.into())),
                Field::Value => call.value = word("value", WordType::Uint(256))?,
                Field::Gas => call.gas = Some(word("gas", WordType::Uint(64))?.to()),
                Field::Data => call.input = bytes(cell).map_err(|reason| Invalid::new("data", reason))?,
            }
        }
        Ok(call)
    }
}

impl Rows {
    /// The call of a line.
    pub(super) fn read(&self, line: Result<&[u8], String>) -> Result<Call, TxError> {
        let line = line.and_then(|line| str::from_utf8(line).map_err(|cause| cause.to_string()));
        let line = line.map_err(|reason| Invalid::new("line", reason))?;
        let cells = cells(line).map_err(|reason| Invalid::new("line", reason))?;
        let due = match self {
            Self::Fields(fields) => fields.0.len(),
            Self::Values(bound) => bound.columns.len(),
        };
        if cells.len() != due {
            return Err(Invalid::new("line", format!("{} cells where the header has {due}", cells.len())).into());
        }
        match self {
            Self::Fields(fields) => Ok(fields.read(&cells)?),
            Self::Values(bound) => bound.read(&cells),
        }
    }
}

/// The names of the columns.
pub(super) fn header(line: &[u8]) -> Result<Vec<String>, String> {
    let line = str::from_utf8(line).map_err(|cause| cause.to_string())?;
    Ok(cells(line)?.into_iter().map(Cow::into_owned).collect())
}

/// The cells of a line, trimmed where they are not quoted.
fn cells(mut line: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let mut cells = Vec::new();
    loop {
        let Some(inside) = line.trim_start().strip_prefix('"') else {
            match line.split_once(',') {
                Some((cell, rest)) => {
                    cells.push(cell.trim().into());
                    line = rest;
                    continue;
                }
                None => {
                    cells.push(line.trim().into());
                    return Ok(cells);
                }
            }
        };
        let (cell, rest) = quoted(inside).ok_or("a quote that does not end in this line")?;
        cells.push(cell);
        match rest.trim_start() {
            "" => return Ok(cells),
            rest => line = rest.strip_prefix(',').ok_or("something between a quote and the next comma")?,
        }
    }
}

/// A cell whose opening quote is gone, and what follows its closing one.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut from = 0;
    loop {
        let quote = from + text[from..].find('"')?;
        let rest = &text[quote + 1..];
        if !rest.starts_with('"') {
            let cell = &text[..quote];
            let cell = if from == 0 { cell.into() } else { cell.replace("\"\"", "\"").into() };
            return Some((cell, rest));
        }
        from = quote + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_cut_as_rfc_4180_says() {
        for (line, expected) in [
            ("a,b", vec!["a", "b"]),
            (" a , b ", vec!["a", "b"]),
            ("", vec![""]),
            ("a,", vec!["a", ""]),
            (",\"\"", vec!["", ""]),
            ("\"a,b\", \"c\" ,d", vec!["a,b", "c", "d"]),
            ("\"say \"\"no\"\"\"", vec!["say \"no\""]),
            ("\"\"\"\"", vec!["\""]),
            ("\" a \"", vec![" a "]),
        ] {
            assert_eq!(cells(line).unwrap(), expected, "{line}");
        }
        for line in ["\"a", "\"a\"b", "\"a\"\""] {
            assert!(cells(line).is_err(), "{line}");
        }
        assert_eq!(header(b"from,to").unwrap(), ["from", "to"]);
    }

    #[test]
    fn fields_are_read_and_errors_name_them() {
        let rows = |header: &str| {
            let names: Vec<_> = header.split(',').map(str::to_owned).collect();
            Fields::of(&names).map(Rows::Fields)
        };
        let all = rows("data,gas,value,to,from").unwrap();
        let [from, to] = [1, 2].map(Address::repeat_byte);
        let call = all.read(Ok(format!("0x0102,0x10,7,{to},{from}").as_bytes())).unwrap();
        assert_eq!(call, Call::new(from, to, vec![1, 2]).with_gas(16).with_value(U256::from(7)));
        assert_eq!(all.read(Ok(b",,,,")).unwrap(), Call::default());
        for (line, start) in [
            ("0x,1,1,0x12,", "to: \"0x12\" is no address"),
            ("0x,-1,,,", "gas: "),
            ("0x,,1e3,,", "value: "),
            ("zz,,,,", "data: hex without 0x"),
            (",,,", "line: 4 cells where the header has 5"),
            ("\",,,,", "line: a quote"),
        ] {
            let error = all.read(Ok(line.as_bytes())).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}, expected {start}");
        }
        assert!(all.read(Ok(b"\xff")).is_err());
        assert!(rows("from,amount").unwrap_err().starts_with("unknown column \"amount\""));
        assert!(rows("data,input").unwrap_err().contains("twice"));
    }
}
