//! `--template`: a call as JSON, and which column of a CSV fills what of it.

use super::calls::{CallReader, json, word};
use alloy_primitives::U256;
use lockstep::{
    error::{Invalid, TxError},
    simulate::{Argument, Call, Fills, Function, Template, WordType},
};
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::BTreeMap};

/// A template file is a call: a longer one is a mistake.
const LONGEST: u64 = 16 << 20;

/// A template whose columns are known.
#[derive(Debug)]
pub(super) struct Bound {
    template: Template,
    /// Name and type of each.
    pub(super) columns: Vec<(String, WordType)>,
}

/// The text of the flag, or of the file that it names.
pub(super) fn source(flag: &str) -> Result<Vec<u8>, String> {
    if flag.trim_start().starts_with('{') {
        return Ok(flag.as_bytes().to_vec());
    }
    let read = || {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(std::fs::File::open(flag)?, LONGEST), &mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    read().map_err(|cause| format!("{flag}: {cause}"))
}

impl Bound {
    /// Finds what each column of `header` fills.
    ///
    /// # Errors
    /// The field of the template, or the column, that is wrong or missing.
    pub(super) fn new(text: &[u8], header: &[String]) -> Result<Self, String> {
        let read = || {
            let mut object = match json(text)? {
                Value::Object(object) => object,
                _ => return Err(Invalid::new("template", "not a JSON object")),
            };
            let function = object.remove("function");
            let args = object.remove("args");
            let fields: Vec<_> =
                object.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.clone()).collect();
            let has_data = fields.iter().any(|key| key == "data" || key == "input");
            let call = CallReader::default().call(&Value::Object(object), text.len())?;
            let function = match &function {
                None => None,
                Some(_) if has_data => return Err(Invalid::new("data", "comes from the function: give one of them")),
                Some(value) => {
                    let text = value.as_str().ok_or_else(|| Invalid::new("function", "not a string"))?;
                    Some(Function::parse(text)?)
                }
            };
            Ok((call, function, args, fields))
        };
        let (call, function, args, fields) = read().map_err(|error| error.to_string())?;
        if let Some(name) =
            header.iter().enumerate().find(|(at, name)| header[..*at].contains(name)).map(|(_, name)| name)
        {
            return Err(format!("column {name:?} is there twice"));
        }
        let binding = bind(function.as_ref(), args.as_ref(), &fields, header)?;
        let to_is_column = binding.iter().any(|filled| *filled == Filled::Field(Fills::To));
        if function.is_some() && call.to.is_none() && !to_is_column {
            return Err("to: missing: whom the template calls, or a column of that name".into());
        }
        Self::filled(call, function.as_ref(), args.as_ref(), header, &binding)
    }

    fn filled(
        call: Call,
        function: Option<&Function>,
        args: Option<&Value>,
        header: &[String],
        binding: &[Filled],
    ) -> Result<Self, String> {
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        let mut arguments = function.map(|function| constants(function, args)).transpose()?.unwrap_or_default();
        for (column, (name, filled)) in header.iter().zip(binding).enumerate() {
            let kind = match filled {
                Filled::Field(fills) => {
                    fields.push((column, *fills));
                    fills.kind()
                }
                Filled::Parameter(index, kind) => {
                    arguments.insert(*index, Argument::Column(column));
                    *kind
                }
            };
            columns.push((name.clone(), kind));
        }
        let arguments: Vec<_> = arguments.into_values().collect();
        let make = || {
            let template = match function {
                Some(function) => Template::with_arguments(function, &arguments, call)?,
                None => Template::new(call, Vec::new())?,
            };
            fields.iter().try_fold(template, |template, (column, fills)| template.with_hole(*column, *fills))
        };
        Ok(Self { template: make().map_err(|error: Invalid| error.to_string())?, columns })
    }

    /// The call of a row, which has a cell a column.
    pub(super) fn read(&self, cells: &[Cow<'_, str>]) -> Result<Call, TxError> {
        let value = |((name, kind), cell): (&(String, WordType), &Cow<'_, str>)| {
            let error = |error| Invalid::new("column", format!("{name}: {error}"));
            kind.parse(cell).map_err(error)
        };
        let row: Vec<U256> = self.columns.iter().zip(cells).map(value).collect::<Result<_, _>>()?;
        self.template.row(&row)
    }
}

/// What a column fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    Field(Fills),
    Parameter(usize, WordType),
}

/// The name by which a parameter is filled: its own, or its position.
fn name(function: &Function, index: usize) -> Cow<'_, str> {
    match &function.parameters[index].name {
        Some(name) => name.into(),
        None => index.to_string().into(),
    }
}

/// What each column fills: the parameter of its name, the field of its name, or the next parameter without one.
fn bind(
    function: Option<&Function>,
    args: Option<&Value>,
    given: &[String],
    header: &[String],
) -> Result<Vec<Filled>, String> {
    let count = function.map_or(0, |function| function.parameters.len());
    let names: Vec<_> =
        function.into_iter().flat_map(|function| (0..count).map(|index| name(function, index))).collect();
    let kind = |index: usize| function.map_or(WordType::Bool, |function| function.parameters[index].kind);
    let constant = |index: usize| args.and_then(|args| args.get(&*names[index])).is_some();
    let by_name = |column: &String| names.iter().position(|name| name == column);
    let mut taken: Vec<bool> = (0..count).map(constant).collect();
    for (index, name) in names.iter().enumerate() {
        let is_column = header.iter().any(|column| column == name);
        if taken[index] && is_column {
            return Err(format!("parameter {name:?} is in args and a column: give one of them"));
        }
        taken[index] |= is_column;
    }
    let mut filled = Vec::new();
    for column in header {
        let field = match column.as_str() {
            "from" => Some(Fills::From),
            "to" => Some(Fills::To),
            "value" => Some(Fills::Value),
            "gas" => Some(Fills::Gas),
            _ => None,
        };
        let unnamed = |taken: &[bool]| {
            let is_free =
                |index: &usize| !taken[*index] && function.is_some_and(|f| f.parameters[*index].name.is_none());
            (0..count).find(is_free)
        };
        filled.push(if let Some(index) = by_name(column) {
            Filled::Parameter(index, kind(index))
        } else if let Some(fills) = field {
            if given.contains(column) {
                return Err(format!("{column} is in the template and a column: give one of them"));
            }
            Filled::Field(fills)
        } else if let Some(index) = unnamed(&taken) {
            taken[index] = true;
            Filled::Parameter(index, kind(index))
        } else {
            let known: Vec<_> = names.iter().map(|name| &**name).chain(["from", "to", "value", "gas"]).collect();
            return Err(format!("unknown column {column:?}: the template takes {}", known.join(", ")));
        });
    }
    match taken.iter().position(|taken| !taken) {
        Some(missing) => Err(format!("no column {:?}, and it is not in args: {}", names[missing], kind(missing))),
        None => Ok(filled),
    }
}

/// The parameters that are the same in all rows, by index.
fn constants(function: &Function, args: Option<&Value>) -> Result<BTreeMap<usize, Argument>, String> {
    let none = Map::new();
    let args = match args {
        None | Some(Value::Null) => &none,
        Some(Value::Object(args)) => args,
        Some(_) => return Err("args: not an object of values by parameter".into()),
    };
    let constant = |(key, value): (&String, &Value)| {
        let index = (0..function.parameters.len()).find(|index| name(function, *index) == key.as_str());
        let index = index.ok_or_else(|| format!("args: {} has no parameter {key:?}", function.name))?;
        let word = word(value, function.parameters[index].kind).map_err(|reason| format!("args: {key}: {reason}"))?;
        Ok((index, Argument::Constant(word)))
    };
    args.iter().map(constant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, hex};

    const TO: Address = Address::repeat_byte(0x11);

    fn bound(template: &str, header: &str) -> Result<Bound, String> {
        let header: Vec<_> = header.split(',').map(str::to_owned).collect();
        Bound::new(template.replace("TO", &TO.to_string()).as_bytes(), &header)
    }

    fn read(template: &str, header: &str, row: &str) -> Result<Call, String> {
        let cells: Vec<_> = row.split(',').map(Cow::from).collect();
        bound(template, header)?.read(&cells).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_fill_parameters_and_fields() {
        let expected = hex!(
            "cdcd77c0"
            "0000000000000000000000000000000000000000000000000000000000000045"
            "0000000000000000000000000000000000000000000000000000000000000001"
        );
        let call = Call::new(Address::ZERO, TO, expected.to_vec());
        for (template, header, row) in [
            (r#"{"to":"TO","function":"baz(uint32 x,bool y)"}"#, "y,x", "true,69"),
            (r#"{"to":"TO","function":"baz(uint32,bool)"}"#, "first,second", "69,true"),
            (r#"{"to":"TO","function":"baz(uint32,bool y)"}"#, "y,first", "1,0x45"),
            (r#"{"to":"TO","function":"baz(uint32 x,bool y)","args":{"y":true}}"#, "x", "69"),
            (r#"{"to":"TO","function":"baz(uint32,bool)","args":{"0":69}}"#, "only", "true"),
        ] {
            assert_eq!(read(template, header, row), Ok(call.clone()), "{template}");
        }
        let fields = read(
            r#"{"function":"baz(uint32 x,bool y)","gas":7}"#,
            "to,x,value,y,from",
            &format!("{TO},69,3,true,{TO}"),
        );
        assert_eq!(fields, Ok(Call { from: TO, value: U256::from(3), ..call }.with_gas(7)));
        let plain = read(r#"{"to":"TO","data":"0x01"}"#, "gas", "5");
        assert_eq!(plain, Ok(Call::new(Address::ZERO, TO, vec![1]).with_gas(5)));
        // A parameter goes before the field of its name.
        let transfer = read(r#"{"to":"TO","function":"transfer(address to,uint256 v)"}"#, "to,v", &format!("{TO},1"));
        assert_eq!((transfer.as_ref().unwrap().to, transfer.unwrap().input[35]), (Some(TO), 0x11));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (template, header, part) in [
            (r#"{"to":"TO","function":"f(uint8 x)"}"#, "y", "unknown column \"y\": the template takes x, from"),
            (r#"{"to":"TO","function":"f(uint8 x,bool y)"}"#, "x", "no column \"y\", and it is not in args: bool"),
            (r#"{"to":"TO","function":"f(uint8 x)"}"#, "x,x", "column \"x\" is there twice"),
            (r#"{"to":"TO","function":"f(uint8 x)","args":{"x":1}}"#, "x", "\"x\" is in args and a column"),
            (r#"{"to":"TO","function":"f(uint8 x)","args":{"y":1}}"#, "x", "args: f has no parameter \"y\""),
            (r#"{"to":"TO","function":"f(uint8 x)","args":{"x":256}}"#, "gas", "args: x: \"256\" is no uint8"),
            (r#"{"to":"TO","function":"f(uint8 x)","args":7}"#, "x", "args: not an object"),
            (r#"{"to":"TO","function":"f(uint8 x)","gas":1}"#, "x,gas", "gas is in the template and a column"),
            (r#"{"to":"TO","function":"f(bytes x)"}"#, "x", "function: parameter 0: bytes is dynamic"),
            (r#"{"to":"TO","function":"f(uint8 x)","data":"0x"}"#, "x", "data: comes from the function"),
            (r#"{"to":"TO","functio":"f(uint8 x)"}"#, "x", "unknown field \"functio\""),
            (r#"{"function":"f(uint8 x)"}"#, "x", "to: missing"),
            ("[]", "x", "not a JSON object"),
            ("{", "x", "not JSON"),
        ] {
            let error = bound(template, header).unwrap_err();
            assert!(error.contains(part), "{error}, expected {part}");
        }
        let template = r#"{"to":"TO","function":"f(uint8 x)"}"#;
        assert_eq!(read(template, "x", "256").unwrap_err(), "column: x: \"256\" is no uint8: it has more bits");
        assert!(read(template, "x", "").unwrap_err().starts_with("column: x: "));
    }
}
