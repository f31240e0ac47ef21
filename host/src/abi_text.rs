//! The ABI as text for the shading languages: `shaders/abi.wgsl` and `kernels/abi.cuh`.

use crate::{
    abi::{CONSTS, STRUCTS, StructInfo},
    fallback::FallbackReason,
    opcode::{self, Class},
};
use std::fmt::Write;

/// Names and values of everything that is a plain number, in order.
fn constants() -> Vec<(String, u32)> {
    let mut all: Vec<(String, u32)> = CONSTS.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    all.extend(FallbackReason::ALL.iter().map(|reason| {
        (format!("FALLBACK_{}", reason.name().to_uppercase()), crate::abi::STATUS_FALLBACK + *reason as u32)
    }));
    let classes = [
        ("UNDEFINED", Class::Undefined),
        ("PUSH", Class::Push),
        ("DUP", Class::Dup),
        ("SWAP", Class::Swap),
        ("REGISTER", Class::Register),
        ("ALU", Class::Alu),
        ("JUMP", Class::Jump),
        ("PLAIN", Class::Plain),
        ("LOG", Class::Log),
        ("ENV_BLOCK", Class::EnvBlock),
        ("ENV_TX", Class::EnvTx),
        ("FRAME", Class::Frame),
        ("CALL", Class::Call),
        ("CREATE", Class::Create),
    ];
    all.extend(classes.iter().map(|(name, class)| (format!("CLASS_{name}"), *class as u32)));
    all.extend(opcode::named().map(|op| (format!("OP_{}", op.name), u32::from(op.byte))));
    for info in STRUCTS {
        all.extend(
            info.fields
                .iter()
                .filter(|(field, ..)| !field.starts_with("pad"))
                .map(|(field, offset, _)| (format!("{}_{}", info.prefix, field.to_uppercase()), *offset as u32)),
        );
        all.push((format!("{}_WORDS", info.prefix), info.words as u32));
    }
    all
}

fn members(info: &StructInfo, scalar: impl Fn(&str) -> String, array: impl Fn(&str, usize) -> String) -> String {
    info.fields.iter().fold(String::new(), |mut text, (field, _, len)| {
        let member = if *len == 1 { scalar(field) } else { array(field, *len) };
        let _ = writeln!(text, "    {member}");
        text
    })
}

/// The text of `shaders/abi.wgsl`.
pub fn wgsl() -> String {
    let mut text = String::from("// Generated from host/src/abi.rs, do not edit.\n\n");
    for (name, value) in constants() {
        let _ = writeln!(text, "const {name} = {value:#x}u;");
    }
    for info in STRUCTS {
        let body = members(info, |field| format!("{field}: u32,"), |field, len| format!("{field}: array<u32, {len}>,"));
        let _ = write!(text, "\nstruct {} {{\n{body}}}\n", info.name);
    }
    text
}

/// The text of `kernels/abi.cuh`.
pub fn cuda() -> String {
    let mut text = String::from(
        "// Generated from host/src/abi.rs, do not edit.\n#pragma once\n#include <cstddef>\n#include <cstdint>\n\nnamespace lockstep {\n\n",
    );
    for (name, value) in constants() {
        let _ = writeln!(text, "constexpr uint32_t {name} = {value:#x}u;");
    }
    for info in STRUCTS {
        let body =
            members(info, |field| format!("uint32_t {field};"), |field, len| format!("uint32_t {field}[{len}];"));
        let _ = write!(text, "\nstruct {} {{\n{body}}};\n", info.name);
        let _ = writeln!(text, "static_assert(sizeof({}) == {}, \"size\");", info.name, info.words * 4);
        for (field, offset, _) in info.fields {
            let _ = writeln!(text, "static_assert(offsetof({}, {field}) == {}, \"{field}\");", info.name, offset * 4);
        }
    }
    text.push_str("\n} // namespace lockstep\n");
    text
}
