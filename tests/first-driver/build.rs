//! Links the program as a kernel: by Tetra's linker script, with the build id that reports show.

use std::env;

fn main() {
    let script = env::var("DEP_TETRA_LINKER_SCRIPT")
        .expect("Tetra gives its linker script only when it is built for the Pi: see docs/first-driver.md");
    println!("cargo:rustc-link-arg-bins=-T{script}");
    println!("cargo:rustc-link-arg-bins=--build-id=sha1");
}
