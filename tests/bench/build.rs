//! Links the image as a kernel: by the script and in the way that `tetra` asks for.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(script) = env::var("DEP_TETRA_LINKER_SCRIPT") {
        println!("cargo:rustc-link-arg-bins=-T{script}");
        println!("cargo:rustc-link-arg-bins=--build-id=sha1");
        if env::var_os("DEP_TETRA_DEFMT").is_some() {
            println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
        }
    }
}
