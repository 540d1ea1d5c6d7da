//! The files on the card that are not ours: the VideoCore's firmware and the Pi's device tree.
//!
//! They come from Debian's packages: `raspi-firmware` (component non-free-firmware) and the kernel that
//! `linux-image-arm64` points to, of which only the device tree is taken. They are downloaded and unpacked, never
//! installed: raspi-firmware's script fails on a machine without /boot/firmware. apt runs with its own state, cache
//! and source list, so that the system's package lists, foreign architectures and hooks stay as they are and no root
//! is needed; the mirror, its keyring and the proxy settings are the system's. What was fetched is kept with its
//! checksums, and later runs touch no network.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::content::Content;

/// What a card needs beside our own files; `start4.elf` and `fixup4.dat` are a matched pair of one package.
const FILES: [&str; 3] = ["start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb"];
/// The firmware's licence, which asks to be passed on with it. Not every source of the firmware has it.
const LICENCE: &str = "LICENCE.firmware";
const CHECKSUMS: &str = "SHA256SUMS";
/// Names the kept directory in use.
const CURRENT: &str = "current";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The firmware's files and where they are from.
pub struct Firmware {
    /// For the card, in the order of [`FILES`], then the licence.
    pub contents: Vec<Content>,
    /// For the user to read.
    pub origin: String,
}

/// Takes the files from `dir`.
///
/// # Errors
/// One of them is not there.
pub fn from_dir(dir: &Path) -> anyhow::Result<Firmware> {
    let mut contents = Vec::new();
    for name in FILES {
        contents.push(Content::from_file(name, &dir.join(name)).with_context(|| by_hand("a file is missing"))?);
    }
    if dir.join(LICENCE).exists() {
        contents.push(Content::from_file(LICENCE, &dir.join(LICENCE))?);
    }
    Ok(Firmware { contents, origin: dir.display().to_string() })
}

/// Takes the files kept in `cache`, or fetches them there first; fetches them in any case if `refresh`.
///
/// # Errors
/// There is no apt, it cannot reach its mirror, or what is kept does not have its checksums.
pub fn from_packages(cache: &Path, refresh: bool) -> anyhow::Result<Firmware> {
    let kept = std::fs::read_to_string(cache.join(CURRENT)).ok();
    if let Some(name) = kept.filter(|_| !refresh) {
        let dir = cache.join(name.trim());
        let firmware = from_dir(&dir)?;
        ensure!(
            std::fs::read_to_string(dir.join(CHECKSUMS)).is_ok_and(|recorded| recorded == checksums(&firmware)),
            "{} has changed since it was fetched: `{CHECKSUMS}` there says otherwise; remove it to fetch it again",
            dir.display()
        );
        return Ok(firmware);
    }

    let sources = sources()?;
    println!("fetching raspi-firmware and linux-image-arm64 (about 65 MB, once; nothing is installed)");
    std::fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    // apt wants absolute names in its configuration.
    let cache = cache.canonicalize().context("cannot find the cache again")?;
    let work = tempfile::Builder::new().prefix(".fetch").tempdir_in(&cache).context("cannot make a directory")?;
    let name = Fetch::new(work.path(), &sources)?.fetch(&cache)?;
    std::fs::write(cache.join(CURRENT), format!("{name}\n")).context("cannot record what was fetched")?;
    from_dir(&cache.join(name))
}

/// What to do when the files cannot be fetched.
fn by_hand(why: &str) -> String {
    format!(
        "{why}. The card needs {}: take them from a Raspberry Pi OS card's boot partition or from the Debian packages \
         raspi-firmware and linux-image-arm64 (/usr/lib/linux-image-*/broadcom/), put them into one directory and \
         pass it: make image FIRMWARE_DIR=that/directory",
        FILES.join(", ")
    )
}

/// The files' checksums in the form of `sha256sum`.
fn checksums(firmware: &Firmware) -> String {
    firmware.contents.iter().map(|content| format!("{}  {}\n", content.sha256(), content.name)).collect()
}

/// The private source list, in apt's one-line form: the system's own Debian mirror and suites, with the component added.
fn sources() -> anyhow::Result<String> {
    if let Some(mirror) = std::env::var_os("DEBIAN_MIRROR").and_then(|mirror| mirror.into_string().ok()) {
        let suite = std::env::var("DEBIAN_SUITE").unwrap_or_else(|_| "stable".to_owned());
        return Ok(source_line(&mirror, &suite));
    }
    let mut indextargets = Command::new("apt-get");
    indextargets.args(["indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT) $(ORIGIN)", "Created-By: Packages"]);
    let Ok(targets) = run(indextargets) else { bail!(by_hand("This system has no apt to fetch firmware with")) };
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let lines = source_lines(&targets, &release);
    if lines.is_empty() {
        let why = "This system's apt knows no Debian mirror (with the package debian-archive-keyring, \
                   DEBIAN_MIRROR=address names one)";
        bail!(by_hand(why));
    }
    Ok(lines)
}

/// Picks Debian's own suites out of what `apt-get indextargets` says.
///
/// The origin is known only where the lists have been fetched (a fresh container has none: apt then leaves the
/// placeholder as it is); elsewhere the suite's name must do.
fn source_lines(targets: &str, os_release: &str) -> String {
    let codename = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("sid").trim_matches('"');
    let is_debian = os_release.lines().any(|line| line == "ID=debian");
    let mut lines: Vec<String> = Vec::new();
    for target in targets.lines() {
        let &[site, suite, component, ref origin @ ..] = &target.split(' ').collect::<Vec<_>>()[..] else { continue };
        let origin = origin.join(" ");
        let from_debian = if origin.is_empty() || origin.starts_with('$') { is_debian } else { origin == "Debian" };
        let stem = suite.strip_suffix("-updates").or(suite.strip_suffix("-security")).unwrap_or(suite);
        let of_system = [codename, "stable", "testing", "unstable", "sid"].contains(&stem);
        let line = source_line(site, suite);
        if component == "main" && from_debian && of_system && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.concat()
}

fn source_line(site: &str, suite: &str) -> String {
    let signed_by = if Path::new(KEYRING).exists() { format!(" signed-by={KEYRING}") } else { String::new() };
    format!("deb [arch=arm64{signed_by}] {site} {suite} main non-free-firmware\n")
}

/// One run of apt with everything of its own below `root`.
struct Fetch {
    root: PathBuf,
}

impl Fetch {
    fn new(root: &Path, sources: &str) -> anyhow::Result<Self> {
        for dir in ["lists/partial", "archives/partial", "debs", "files", "sources.list.d", "preferences.d"] {
            std::fs::create_dir_all(root.join(dir)).with_context(|| format!("cannot make {dir}"))?;
        }
        let fetch = Self { root: root.to_owned() };
        std::fs::write(root.join("status"), "").context("cannot write apt's state")?;
        std::fs::write(root.join("sources.list"), sources).context("cannot write apt's source list")?;
        std::fs::write(root.join("apt.conf"), fetch.configuration()).context("cannot write apt's configuration")?;
        Ok(fetch)
    }

    /// Read after the system's configuration, of which the proxies stay and the hooks go: those clear the system's cache.
    fn configuration(&self) -> String {
        let root = self.root.display();
        format!(
            "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n\
             #clear Acquire::IndexTargets::deb::DEP-11;\n\
             Dir::State \"{root}\";\nDir::State::lists \"{root}/lists\";\nDir::State::status \"{root}/status\";\n\
             Dir::Cache \"{root}\";\nDir::Cache::archives \"{root}/archives\";\n\
             Dir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\n\
             Dir::Etc::sourcelist \"{root}/sources.list\";\nDir::Etc::sourceparts \"{root}/sources.list.d\";\n\
             Dir::Etc::preferences \"{root}/preferences\";\nDir::Etc::preferencesparts \"{root}/preferences.d\";\n\
             APT::Architecture \"arm64\";\nAPT::Architectures {{ \"arm64\"; }};\n\
             APT::Sandbox::User \"\";\nAcquire::Languages \"none\";\nAcquire::Retries \"3\";\n"
        )
    }

    /// Fetches both packages and lays the files into a directory of `cache`; returns its name.
    fn fetch(&self, cache: &Path) -> anyhow::Result<String> {
        // One unreachable suite of several is not the end: what counts is whether the packages are found.
        let update = run(self.apt("apt-get", ["update", "-qq"]));
        let kernel = self.kernel_package().with_context(|| match update {
            Err(error) => format!("apt found no packages: {error:#}"),
            Ok(_) => "apt found no packages".to_owned(),
        })?;
        run(self.apt("apt-get", ["download", "-qq", "raspi-firmware", kernel.as_str()]))?;

        let firmware_deb = self.package("raspi-firmware_")?;
        let kernel_deb = self.package("linux-image-")?;
        self.extract(&firmware_deb, "./usr/lib/raspi-firmware/start4.elf", "start4.elf")?;
        self.extract(&firmware_deb, "./usr/lib/raspi-firmware/fixup4.dat", "fixup4.dat")?;
        self.extract(&firmware_deb, "./usr/share/doc/raspi-firmware/copyright", LICENCE)?;
        let dtb = format!("./usr/lib/{kernel}/broadcom/bcm2711-rpi-4-b.dtb");
        self.extract(&kernel_deb, &dtb, "bcm2711-rpi-4-b.dtb")?;
        self.keep(cache, &format!("raspi-firmware_{}_linux_{}", version(&firmware_deb)?, version(&kernel_deb)?))
    }

    /// The package that the newest `linux-image-arm64` depends on.
    fn kernel_package(&self) -> anyhow::Result<String> {
        let depends = run(self.apt("apt-cache", ["depends", "--important", "linux-image-arm64"]))?;
        let kernel = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
        Ok(format!("linux-image-{}", kernel.context("linux-image-arm64 depends on no kernel")?))
    }

    fn apt<const N: usize>(&self, program: &str, args: [&str; N]) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.root.join("apt.conf")).args(args).current_dir(self.root.join("debs"));
        command
    }

    fn package(&self, prefix: &str) -> anyhow::Result<PathBuf> {
        let debs = std::fs::read_dir(self.root.join("debs")).context("cannot list what apt fetched")?;
        let names = debs.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        names.into_iter().find(is_it).with_context(|| format!("apt fetched no {prefix}*.deb"))
    }

    /// Takes one file out of a package. `dpkg -x` would unpack all 300 MB of the kernel for a device tree of 27 KB.
    fn extract(&self, deb: &Path, member: &str, name: &str) -> anyhow::Result<()> {
        let mut unpack =
            Command::new("dpkg-deb").arg("--fsys-tarfile").arg(deb).stdout(Stdio::piped()).spawn().context("cannot start dpkg-deb")?;
        let tar = unpack.stdout.take().expect("stdout was asked to be a pipe");
        let output = Command::new("tar").args(["-xO", "-f", "-", member]).stdin(tar).output().context("cannot start tar")?;
        unpack.wait().context("cannot wait for dpkg-deb")?;
        ensure!(output.status.success(), "{} has no {member}: {}", deb.display(), String::from_utf8_lossy(&output.stderr).trim());
        std::fs::write(self.root.join("files").join(name), output.stdout).with_context(|| format!("cannot write {name}"))
    }

    /// Moves the files into `cache` as a whole.
    fn keep(&self, cache: &Path, name: &str) -> anyhow::Result<String> {
        let files = self.root.join("files");
        std::fs::write(files.join(CHECKSUMS), checksums(&from_dir(&files)?)).context("cannot write the checksums")?;
        let kept = cache.join(name);
        if kept.exists() {
            std::fs::remove_dir_all(&kept).with_context(|| format!("cannot replace {}", kept.display()))?;
        }
        std::fs::rename(&files, &kept).with_context(|| format!("cannot make {}", kept.display()))?;
        Ok(name.to_owned())
    }
}

/// The package's version, with the characters that file names had better not have replaced.
fn version(deb: &Path) -> anyhow::Result<String> {
    let mut field = Command::new("dpkg-deb");
    field.arg("-f").arg(deb).arg("Version");
    Ok(run(field)?.trim().replace([':', '/', '~'], "-"))
}

/// Runs a command and returns its standard output.
fn run(mut command: Command) -> anyhow::Result<String> {
    let name = command.get_program().to_owned();
    let name = OsStr::to_string_lossy(&name);
    let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output().with_context(|| format!("cannot start {name}"))?;
    ensure!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOKWORM: &str = "ID=debian\nVERSION_CODENAME=bookworm\n";

    fn suites(targets: &str, os_release: &str) -> Vec<String> {
        let word = |line: &str| line.split("] ").nth(1).unwrap_or_default().to_owned();
        source_lines(targets, os_release).lines().map(word).collect()
    }

    #[test]
    fn takes_debians_suites_and_leaves_the_others() {
        let targets = "http://m.example/debian bookworm main Debian\n\
                       http://m.example/debian bookworm contrib Debian\n\
                       http://m.example/debian bookworm main Debian\n\
                       http://m.example/debian bookworm-updates main Debian\n\
                       http://m.example/debian bookworm-backports main Debian Backports\n\
                       http://s.example/security bookworm-security main Debian\n\
                       http://else.example/debian bookworm main Some Vendor\n";
        let want = ["debian bookworm", "debian bookworm-updates", "security bookworm-security"];
        let got = suites(targets, BOOKWORM);
        assert_eq!(got.len(), want.len(), "{got:?}");
        for (got, want) in got.iter().zip(want) {
            assert!(got.ends_with(&format!("{want} main non-free-firmware")), "{got}");
        }
    }

    #[test]
    fn trusts_names_where_no_list_was_ever_fetched() {
        let targets = "http://m.example/debian bookworm main $(ORIGIN)\nhttp://m.example/debian bookworm-pgdg main $(ORIGIN)\n";
        assert_eq!(suites(targets, BOOKWORM).len(), 1);
        assert!(suites(targets, "ID=ubuntu\nVERSION_CODENAME=noble\n").is_empty());
    }

    #[test]
    fn names_the_files_and_the_way_when_one_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("start4.elf"), "x").unwrap();
        let error = format!("{:#}", from_dir(dir.path()).err().expect("two files are missing"));
        for word in ["fixup4.dat", "bcm2711-rpi-4-b.dtb", "FIRMWARE_DIR="] {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn refuses_kept_files_that_have_changed() {
        let cache = tempfile::tempdir().unwrap();
        let dir = cache.path().join("v1");
        std::fs::create_dir(&dir).unwrap();
        for name in FILES {
            std::fs::write(dir.join(name), name).unwrap();
        }
        std::fs::write(cache.path().join(CURRENT), "v1\n").unwrap();
        std::fs::write(dir.join(CHECKSUMS), checksums(&from_dir(&dir).unwrap())).unwrap();
        assert_eq!(from_packages(cache.path(), false).unwrap().contents.len(), FILES.len());

        std::fs::write(dir.join("fixup4.dat"), "other").unwrap();
        let error = from_packages(cache.path(), false).err().expect("a file has changed");
        assert!(error.to_string().contains("has changed"), "{error}");
    }
}
