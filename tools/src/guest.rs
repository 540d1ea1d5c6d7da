//! One run of a guest without a person: its console as text, how it ended, and a report if it hung.

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use regex::Regex;
use serde_json::json;

use crate::console::Decoder;
use crate::elf::Symbols;
use crate::hang;
use crate::machine::Machine;
use crate::qmp::Qmp;

/// How long a guest may go on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Without a byte on the console.
    pub silence: Duration,
    /// In all.
    pub wall: Duration,
}

impl Default for Limits {
    /// Generous: four guest cores share two host cores, perhaps with other work.
    fn default() -> Self {
        Self { silence: Duration::from_secs(30), wall: Duration::from_secs(180) }
    }
}

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// QEMU exited with this status: the guest's, by semihosting.
    Exit(i32),
    /// The guest reset the machine.
    Reset,
    /// A limit passed; the text says which, and what the cores were doing.
    Hang(String),
    /// QEMU itself died.
    Crash(String),
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub console: String,
    pub end: End,
    /// What a cue still waited for.
    pub missed: Option<String>,
    pub duration: Duration,
}

/// What a person does when the console shows something. Cues wait for each other, in their order.
#[derive(Clone, Debug)]
pub struct Cue {
    pub after: Sight,
    pub action: Action,
}

/// What a person waits for.
#[derive(Clone, Debug)]
pub enum Sight {
    /// Text on the console, behind what the last one waited for.
    Text(Regex),
    /// The screen of a terminal, 80 by 24, its rows without the blanks at their ends.
    Screen(Regex),
}

/// What a person does then.
#[derive(Clone, Debug)]
pub enum Action {
    /// Types.
    Type(Vec<u8>),
    /// Sends a BREAK, then types a key.
    Break(u8),
}

impl Action {
    fn keys(&self) -> Vec<u8> {
        match self {
            Self::Type(keys) => keys.clone(),
            Self::Break(key) => vec![*key],
        }
    }
}

/// A person at a terminal who follows cues.
struct Person<'a> {
    cues: std::slice::Iter<'a, Cue>,
    next: Option<&'a Cue>,
    terminal: vt100::Parser,
    /// How much of the console earlier cues have used up.
    seen: usize,
}

impl<'a> Person<'a> {
    fn new(cues: &'a [Cue]) -> Self {
        let mut cues = cues.iter();
        let [rows, columns] = [24, 80].map(|cells| NonZero::new(cells).expect("a terminal has a size"));
        Self { next: cues.next(), cues, terminal: vt100::Parser::new(rows, columns, 0), seen: 0 }
    }

    /// Looks at `bytes`, which came last on the console, and hands out what is to be done now.
    fn look(&mut self, console: &str, bytes: &[u8], mut act: impl FnMut(&Action) -> Result<()>) -> Result<()> {
        self.terminal.process(bytes);
        while let Some(cue) = self.next {
            match &cue.after {
                Sight::Text(text) => match text.find(&console[self.seen..]) {
                    Some(found) => self.seen += found.end(),
                    None => break,
                },
                Sight::Screen(rows) if rows.is_match(&self.screen()) => {}
                Sight::Screen(_) => break,
            }
            act(&cue.action)?;
            self.next = self.cues.next();
        }
        Ok(())
    }

    fn screen(&self) -> String {
        let (_, columns) = self.terminal.screen().size();
        self.terminal.screen().rows(0, columns.get()).map(|row| row.trim_end().to_owned() + "\n").collect::<String>().trim_end().to_owned()
    }

    /// What was still waited for, if anything was.
    fn missed(&self) -> Option<String> {
        Some(match &self.next?.after {
            Sight::Text(text) => format!("the console never showed `{text}`"),
            Sight::Screen(rows) => format!("the screen never was `{rows}`, but at last:\n{}", self.screen()),
        })
    }
}

/// Runs `machine` to its end or to a limit, typing `input` on its console.
///
/// `watch` sees each piece of console text as it arrives.
pub fn run(machine: &Machine, limits: Limits, input: &[u8], watch: impl FnMut(&str)) -> Result<Outcome> {
    run_with_cues(machine, limits, input, &[], watch)
}

/// The same, with a person who follows `cues`.
pub fn run_with_cues(machine: &Machine, limits: Limits, input: &[u8], cues: &[Cue], mut watch: impl FnMut(&str)) -> Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("tetra-").tempdir()?;
    let socket = folder.path().join("qmp");
    let started = Instant::now();
    let mut child = machine
        .command()
        .args(["-no-reboot", "-monitor", "none", "-serial", "stdio", "-qmp"])
        .arg(format!("unix:{},server=on,wait=off", socket.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start QEMU")?;
    let output = pieces(child.stdout.take().context("QEMU has no output")?);
    let errors = pieces(child.stderr.take().context("QEMU has no error output")?);
    let typist = typist(child.stdin.take().context("QEMU has no input")?);
    // Typed when the guest has said its first word: setting up a serial port empties it, and with it what came too early.
    let mut typed = Some(input.to_vec());
    let mut qmp = Qmp::connect(&socket);
    let mut person = Person::new(cues);

    let mut decoder = Decoder::new(machine, "\n")?;
    let mut console = String::new();
    let mut last_sign = Instant::now();
    let passed_limit = loop {
        // A guest that prints without end has no timeouts.
        if started.elapsed() >= limits.wall {
            break Some("still running after");
        }
        let patience = limits.silence.saturating_sub(last_sign.elapsed());
        let patience = patience.min(limits.wall.saturating_sub(started.elapsed()));
        match output.recv_timeout(patience) {
            Ok(bytes) => {
                last_sign = Instant::now();
                if let Some(input) = typed.take() {
                    typist.send(input).ok();
                }
                let text = decoder.text(&bytes);
                console.push_str(&text);
                watch(&text);
                person.look(&console, &bytes, |action| {
                    if let Action::Break(_) = action {
                        qmp.as_mut().map_err(|error| anyhow!("{error:#}"))?.execute("chardev-send-break", json!({ "id": "serial0" }))?;
                    }
                    typist.send(action.keys()).ok();
                    Ok(())
                })?;
            }
            Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) if last_sign.elapsed() >= limits.silence => break Some("silent since"),
            Err(RecvTimeoutError::Timeout) => {}
        }
    };

    let end = match passed_limit {
        Some(limit) => {
            let shown = if limit.starts_with("still") { limits.wall } else { last_sign.elapsed() };
            let missed = person.missed().map_or(String::new(), |missed| format!("; {missed}"));
            let head = format!("{limit} {:.0} s{missed}", shown.as_secs_f64());
            let report = qmp.and_then(|mut qmp| {
                let report = hang::describe(&mut qmp, &Symbols::read(&machine.kernel.elf)?);
                qmp.execute("quit", json!({})).ok();
                report
            });
            End::Hang(match report {
                Ok(report) => format!("{head}\n{report}"),
                Err(error) => format!("{head}; its cores cannot be read: {error:#}"),
            })
        }
        None => ended(&mut child, qmp.ok().and_then(Qmp::shutdown_reason), &errors)?,
    };
    // After `quit` it goes by itself; killing what is gone does no harm.
    child.kill().ok();
    child.wait()?;
    // A terminal wants both ends of a line; whoever looks for text does not.
    let console = console.replace("\r\n", "\n");
    let missed = person.missed();
    Ok(Outcome { console, end, missed, duration: started.elapsed() })
}

fn ended(child: &mut Child, reason: Option<String>, errors: &Receiver<Vec<u8>>) -> Result<End> {
    let status = child.wait()?;
    let words: Vec<u8> = errors.iter().flatten().collect();
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    Ok(match (status.code(), reason.as_deref()) {
        (Some(0), Some("guest-reset")) => End::Reset,
        // QEMU ends well on a signal too, which says nothing of the guest.
        (Some(_), Some(reason @ "host-signal")) => End::Crash(format!("QEMU ended with {status}: {reason}")),
        (Some(code), Some(_)) => End::Exit(code),
        // Semihosting's exit ends QEMU without a word on the socket; so does an error in its arguments, but on stderr.
        (Some(code), None) if !has_error(&words) => End::Exit(code),
        _ => End::Crash(format!("QEMU ended with {status}: {words}")),
    })
}

/// Whether QEMU complains of more than a device in the device tree that it does not have.
fn has_error(words: &str) -> bool {
    words.lines().any(|line| line.contains("qemu-system-aarch64:") && !line.contains("qemu-system-aarch64: warning:"))
}

/// Reads a stream in a thread of its own; the channel closes at its end.
fn pieces(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Writes to a stream in a thread of its own: a guest that does not read must not stop its watcher.
fn typist(mut stream: impl Write + Send + 'static) -> std::sync::mpsc::Sender<Vec<u8>> {
    let (sender, receiver) = channel::<Vec<u8>>();
    std::thread::spawn(move || {
        for bytes in receiver {
            if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
                break;
            }
        }
    });
    sender
}
