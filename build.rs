//! Hands the linker script to whoever links a kernel: this package's own images directly, other packages through `DEP_TETRA_LINKER_SCRIPT`
//! (docs/first-driver.md shows the two lines of their build script). On the host there is nothing to do.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=linker.ld");

    let is_kernel = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    if is_kernel {
        let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        let script = Path::new(&folder).join("linker.ld");
        let script = script.display();
        println!("cargo:linker_script={script}");
        println!("cargo:rustc-link-arg-bins=-T{script}");
        println!("cargo:rustc-link-arg-bins=--build-id=sha1");
        if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
            println!("cargo:defmt=1");
            println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
        }
    }
}
