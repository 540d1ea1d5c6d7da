//! Writing an image to a device, and reading it back.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use rustix::fs::{Advice, OFlags};

/// A card erases in blocks of about this size: smaller pieces only make it slower.
const CHUNK_BYTES: usize = 4 << 20;

/// Writes `image` to the start of `device` and compares what then lies there.
///
/// # Errors
/// The device is in use, ends too early, or gives back other bytes than were written.
pub fn flash(device: &Path, image: &[u8]) -> anyhow::Result<()> {
    // On a block device O_EXCL without O_CREAT means: fail if anything has it mounted or open exclusively.
    let exclusive = OFlags::EXCL.bits() as i32;
    let file = OpenOptions::new().read(true).write(true).custom_flags(exclusive).open(device);
    let mut file = file.with_context(|| format!("cannot open {} for ourselves alone", device.display()))?;
    let what = device.display().to_string();
    write(&mut file, image, &mut Progress::new("writing", image.len())).with_context(|| format!("cannot write to {what}"))?;
    compare(&mut file, image, &mut Progress::new("reading back", image.len())).with_context(|| what)
}

/// Writes `image` from the file's beginning and returns when the device has it.
fn write(file: &mut File, image: &[u8], progress: &mut Progress) -> anyhow::Result<()> {
    file.rewind()?;
    for chunk in image.chunks(CHUNK_BYTES) {
        file.write_all(chunk)?;
        // Piece by piece, or the bar would show how fast memory is and then stand still at its end.
        file.sync_data()?;
        progress.add(chunk.len());
    }
    file.sync_all()?;
    Ok(())
}

/// Compares the file's beginning with `image`, from the device and not from the page cache.
fn compare(file: &mut File, image: &[u8], progress: &mut Progress) -> anyhow::Result<()> {
    // Clean pages only, and all are since the sync. A file system without page cache may refuse: nothing to drop then.
    let _ = rustix::fs::fadvise(&*file, 0, None, Advice::DontNeed);
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = 0;
    for chunk in image.chunks(CHUNK_BYTES) {
        let read = &mut buffer[..chunk.len()];
        file.read_exact(read).with_context(|| format!("cannot read back from byte {at}"))?;
        if let Some(wrong) = read.iter().zip(chunk).position(|(ours, theirs)| ours != theirs) {
            bail!("byte {} is not what was written: the card is worn out, or not as large as it says", at + wrong);
        }
        at += chunk.len();
        progress.add(chunk.len());
    }
    ensure!(at == image.len(), "only {at} bytes were compared");
    Ok(())
}

/// A line that counts up, where somebody watches.
struct Progress {
    what: &'static str,
    done: usize,
    total: usize,
    is_watched: bool,
}

impl Progress {
    fn new(what: &'static str, total: usize) -> Self {
        Self { what, done: 0, total, is_watched: std::io::stderr().is_terminal() }
    }

    fn add(&mut self, bytes: usize) {
        self.done += bytes;
        if self.is_watched {
            let end = if self.done == self.total { "\n" } else { "" };
            eprint!("\r{}: {} of {} MiB{end}", self.what, self.done >> 20, self.total >> 20);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        (0..2 * CHUNK_BYTES + 512).map(|n| ((n * 7) >> 5) as u8).collect()
    }

    fn progress() -> Progress {
        Progress { what: "test", done: 0, total: 0, is_watched: false }
    }

    #[test]
    fn writes_the_image_and_leaves_the_rest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let image = image();
        std::fs::write(file.path(), vec![0xee; image.len() + 1000]).unwrap();
        flash(file.path(), &image).unwrap();
        let written = std::fs::read(file.path()).unwrap();
        assert!(written[..image.len()] == image);
        assert!(written[image.len()..].iter().all(|&byte| byte == 0xee));
        assert_eq!(written.len(), image.len() + 1000);
    }

    #[test]
    fn finds_the_byte_that_did_not_arrive() {
        let (mut file, mut image) = (tempfile::tempfile().unwrap(), image());
        write(&mut file, &image, &mut progress()).unwrap();
        compare(&mut file, &image, &mut progress()).unwrap();
        image[CHUNK_BYTES + 5] ^= 4;
        let error = compare(&mut file, &image, &mut progress()).unwrap_err();
        assert!(error.to_string().contains(&format!("byte {} is not what was written", CHUNK_BYTES + 5)), "{error}");
    }

    #[test]
    fn finds_a_card_that_ends_too_early() {
        let (mut file, image) = (tempfile::tempfile().unwrap(), image());
        write(&mut file, &image[..CHUNK_BYTES], &mut progress()).unwrap();
        let error = compare(&mut file, &image, &mut progress()).unwrap_err();
        assert!(format!("{error:#}").contains(&format!("cannot read back from byte {CHUNK_BYTES}")), "{error:#}");
    }

    #[test]
    fn a_full_device_is_an_error() {
        let error = flash(Path::new("/dev/full"), &image()).unwrap_err();
        assert!(format!("{error:#}").contains("cannot write to /dev/full"), "{error:#}");
    }
}
