//! How the shared library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // Threads outlive `lockstep_destroy` by a moment: `dlclose` must not take their code away.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // Symbols of the C code inside are nobody's business.
        println!("cargo::rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,liblockstep.so");
    }
}
