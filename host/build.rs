//! Joins the shaders: `//#include "file"` once each, `//#if U64` … `//#else` … `//#endif` by the one switch there is.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
};

const ENTRIES: [&str; 4] = ["execute", "gather", "recover", "keccak_batch"];

fn join(folder: &Path, name: &str, u64_limbs: bool, seen: &mut BTreeSet<String>, text: &mut String) -> io::Result<()> {
    if !seen.insert(name.to_owned()) {
        return Ok(());
    }
    let path = folder.join(name);
    println!("cargo::rerun-if-changed={}", path.display());
    let source = fs::read_to_string(&path)
        .map_err(|cause| io::Error::new(cause.kind(), format!("{}: {cause}", path.display())))?;
    let mut keep = true;
    for line in source.lines() {
        match line.trim() {
            "//#if U64" => keep = u64_limbs,
            "//#else" => keep = !u64_limbs,
            "//#endif" => keep = true,
            _ if !keep => {}
            trimmed => {
                if let Some(file) = trimmed.strip_prefix("//#include \"").and_then(|rest| rest.strip_suffix('"')) {
                    join(folder, file, u64_limbs, seen, text)?;
                } else {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let shaders = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../shaders");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    for entry in ENTRIES {
        for (suffix, u64_limbs) in [("u32", false), ("u64", true)] {
            let mut text = String::new();
            join(&shaders, &format!("{entry}.wgsl"), u64_limbs, &mut BTreeSet::new(), &mut text)?;
            fs::write(out.join(format!("{entry}_{suffix}.wgsl")), text)?;
        }
    }
    Ok(())
}
