//! The locks of the ABI: generated files are fresh, naga and the C++ compiler lay structs out as Rust does, and every
//! kernel keeps to WebGPU's default limits in both variants.

use libtest_mimic::Failed;
use lockstep::{
    abi,
    backend::wgpu::{Integers, kernel_modules},
};
use lockstep_tests::{
    generated,
    harness::{self, Suite},
};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use std::{
    fs,
    process::{Command, ExitCode},
};

fn fresh() -> Result<(), Failed> {
    for (path, contents) in generated::files()? {
        if !generated::is_fresh(path, &contents)? {
            return Err(format!("{path} is stale: cargo run -p lockstep-tests --bin generate").into());
        }
    }
    Ok(())
}

fn module(text: &str) -> Result<naga::Module, Failed> {
    naga::front::wgsl::parse_str(text).map_err(|error| error.emit_to_string(text).into())
}

/// naga's offsets and sizes of the generated WGSL structs against `offset_of!`.
fn offsets() -> Result<(), Failed> {
    let module = module(&lockstep::abi_text::wgsl())?;
    for info in abi::STRUCTS {
        let found = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(info.name));
        let Some((_, naga::Type { inner: naga::TypeInner::Struct { members, span }, .. })) = found else {
            return Err(format!("no struct {}", info.name).into());
        };
        if *span as usize != info.words * 4 || members.len() != info.fields.len() {
            return Err(format!("{}: {span} bytes, {} members", info.name, members.len()).into());
        }
        for (member, (field, offset, _)) in members.iter().zip(info.fields) {
            if member.name.as_deref() != Some(*field) || member.offset as usize != offset * 4 {
                return Err(format!("{}.{field}: naga says {member:?}, Rust {}", info.name, offset * 4).into());
            }
        }
        // In the uniform address space structs are multiples of 16 bytes.
        if info.name.ends_with("Params") && info.words % 4 != 0 {
            return Err(format!("{} is no multiple of 16 bytes", info.name).into());
        }
    }
    Ok(())
}

/// What an entry point takes of what WebGPU limits, and the default of each limit by its name there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    storage_buffers: u32,
    uniform_buffers: u32,
    uniform_bytes: u32,
    workgroup_bytes: u32,
    invocations: u32,
    widest_axis: u32,
    deepest_axis: u32,
}

impl Needs {
    fn of(module: &naga::Module, info: &ModuleInfo, entry: usize) -> Result<Self, Failed> {
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx())?;
        let [x, y, z] = module.entry_points[entry].workgroup_size;
        let mut needs = Self { invocations: x * y * z, widest_axis: x.max(y), deepest_axis: z, ..Self::default() };
        for (handle, variable) in module.global_variables.iter() {
            if info.get_entry_point(entry)[handle].is_empty() {
                continue;
            }
            let size = layouter[variable.ty].size;
            match variable.space {
                naga::AddressSpace::Storage { .. } => needs.storage_buffers += 1,
                naga::AddressSpace::Uniform => {
                    needs.uniform_buffers += 1;
                    needs.uniform_bytes = needs.uniform_bytes.max(size);
                }
                naga::AddressSpace::WorkGroup => needs.workgroup_bytes += size.next_multiple_of(16),
                _ => {}
            }
        }
        Ok(needs)
    }

    /// The limits that are exceeded.
    fn beyond(&self) -> Vec<String> {
        [
            ("maxStorageBuffersPerShaderStage", self.storage_buffers, 8),
            ("maxUniformBuffersPerShaderStage", self.uniform_buffers, 12),
            ("maxUniformBufferBindingSize", self.uniform_bytes, 65_536),
            ("maxComputeWorkgroupStorageSize", self.workgroup_bytes, 16_384),
            ("maxComputeInvocationsPerWorkgroup", self.invocations, 256),
            ("maxComputeWorkgroupSizeX", self.widest_axis, 256),
            ("maxComputeWorkgroupSizeZ", self.deepest_axis, 64),
        ]
        .into_iter()
        .filter(|(_, needed, limit)| needed > limit)
        .map(|(name, needed, limit)| format!("{name} {limit}, needs {needed}"))
        .collect()
    }
}

/// Both variants validate, and no entry point takes more than WebGPU's default limits allow.
fn limits(integers: Integers) -> Result<(), Failed> {
    for (name, module) in kernel_modules(integers)? {
        let info = validated(&module, integers).map_err(|error| format!("{name}: {error}"))?;
        for (index, entry) in module.entry_points.iter().enumerate() {
            let beyond = Needs::of(&module, &info, index)?.beyond();
            if !beyond.is_empty() {
                return Err(format!("{name}, {}: {}", entry.name, beyond.join("; ")).into());
            }
        }
    }
    Ok(())
}

/// The check above sees every kind, and counts what an entry point uses, not what its module has.
fn limits_are_seen() -> Result<(), Failed> {
    let storage: String =
        (0..9).map(|n| format!("@group(0) @binding({n}) var<storage, read_write> s{n}: array<u32>;\n")).collect();
    let sum: String = (0..9).map(|n| format!("s{n}[0] += 1u; ")).collect();
    let text = format!(
        "{storage}
         var<workgroup> half: array<u32, 2048>;
         var<workgroup> more: array<vec3<u32>, 513>;
         @compute @workgroup_size(16, 17) fn crowded() {{ {sum} }}
         @compute @workgroup_size(1, 1, 65) fn deep() {{ half[0] = 1u; more[0].x = 1u; }}
         @compute @workgroup_size(64) fn modest() {{ half[0] = 1u; s0[0] = half[1]; }}"
    );
    let module = module(&text)?;
    let info = validated(&module, Integers::Portable)?;
    let found: Vec<Vec<String>> =
        (0..3).map(|entry| Ok(Needs::of(&module, &info, entry)?.beyond())).collect::<Result<_, Failed>>()?;
    let expected = [
        vec!["maxStorageBuffersPerShaderStage 8, needs 9", "maxComputeInvocationsPerWorkgroup 256, needs 272"],
        vec!["maxComputeWorkgroupStorageSize 16384, needs 16400", "maxComputeWorkgroupSizeZ 64, needs 65"],
        vec![],
    ];
    if found == expected { Ok(()) } else { Err(format!("{found:?}").into()) }
}

fn validated(module: &naga::Module, integers: Integers) -> Result<ModuleInfo, String> {
    let capabilities = match integers {
        Integers::Widest => Capabilities::SHADER_INT64,
        Integers::Portable => Capabilities::empty(),
    };
    Validator::new(ValidationFlags::all(), capabilities).validate(module).map_err(|error| format!("{error:?}"))
}

/// Every kernel can be written in the languages of the drivers that this machine need not have.
fn languages(integers: Integers) -> Result<(), Failed> {
    use naga::back::{hlsl, msl, spv};
    for (name, module) in kernel_modules(integers)? {
        let info = validated(&module, integers)?;
        spv::write_vec(&module, &info, &spv::Options::default(), None)
            .map_err(|error| format!("{name}, SPIR-V: {error}"))?;
        // DX12's modern compiler and any Metal that has 64-bit integers.
        let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_0, ..Default::default() };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
            .write(&module, &info, None)
            .map_err(|error| format!("{name}, HLSL: {error}"))?;
        let options = msl::Options { lang_version: (2, 3), ..Default::default() };
        msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
            .map_err(|error| format!("{name}, MSL: {error}"))?;
    }
    Ok(())
}

/// The CUDA header compiles as plain C++17, its static assertions hold, and values meant for Rust agree.
fn header(compiler: &str) -> Result<(), Failed> {
    let folder = std::env::temp_dir().join(format!("lockstep-abi-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let source = folder.join("abi.cpp");
    let check = format!(
        "#include \"abi.cuh\"\nstatic_assert(lockstep::STATUS_PARKED == {}u);\nstatic_assert(sizeof(lockstep::TxRecord) == {});\nint main() {{ return 0; }}\n",
        abi::STATUS_PARKED,
        size_of::<abi::TxRecord>(),
    );
    fs::write(&source, check)?;
    let output = Command::new(compiler)
        .args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++", "-I"])
        .arg(harness::workspace().join("kernels"))
        .arg(&source)
        .output()?;
    fs::remove_dir_all(&folder)?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

fn main() -> ExitCode {
    let mut suite = Suite::default();
    suite.test("generated_files_are_fresh", fresh);
    suite.test("naga_offsets_are_rusts", offsets);
    suite.test("kernels_keep_to_webgpu_limits::u64", || limits(Integers::Widest));
    suite.test("kernels_keep_to_webgpu_limits::u32", || limits(Integers::Portable));
    suite.test("limits_that_are_exceeded_are_seen", limits_are_seen);
    suite.test("kernels_translate::u64", || languages(Integers::Widest));
    suite.test("kernels_translate::u32", || languages(Integers::Portable));
    let works = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    match ["c++", "g++", "clang++"].into_iter().find(works) {
        Some(compiler) => suite.test("header_compiles_as_cpp", move || header(compiler)),
        None => suite.skip("header_compiles_as_cpp", "c++", "no C++ compiler".into()),
    }
    suite.run()
}
