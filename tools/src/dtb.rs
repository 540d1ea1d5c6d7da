//! Device trees for QEMU: the project's own, compiled from `boot/`, a file, or none.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// The device tree a guest gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceTree {
    /// QEMU leaves ATAGS in x0; the kernel asks the mailbox instead.
    None,
    File(PathBuf),
}

impl DeviceTree {
    /// Understands `none`, `tetra` or nothing (the project's own), or the path of a `.dtb` or `.dts` file.
    pub fn parse(choice: Option<&str>) -> Result<Self> {
        match choice {
            Some("none") => Ok(Self::None),
            None | Some("tetra") => compile(&workspace::root().join("boot/tetra-qemu.dts")).map(Self::File),
            Some(path) => {
                let path = workspace::root().join(path);
                ensure!(path.exists(), "DTB={}: no such file", path.display());
                if path.extension().is_some_and(|extension| extension == "dts") {
                    return compile(&path).map(Self::File);
                }
                Ok(Self::File(path))
            }
        }
    }
}

/// Compiles a source file into the build folder, unless that was done since it changed.
fn compile(source: &std::path::Path) -> Result<PathBuf> {
    let name = source.file_stem().context("a device tree source needs a name")?;
    let out = workspace::target().join(name).with_extension("dtb");
    let modified = |path: &std::path::Path| path.metadata().and_then(|data| data.modified()).ok();
    if out.exists() && modified(&out) >= modified(source) {
        return Ok(out);
    }
    std::fs::create_dir_all(workspace::target())?;
    workspace::run(Command::new(workspace::program("DTC", "dtc")).args(["-q", "-I", "dts", "-O", "dtb", "-o"]).args([&out, source]))?;
    Ok(out)
}
