//! A client of QEMU's machine protocol, for looking into a guest that hangs.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A connection that has finished its greeting.
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    /// Events that came while an answer was awaited.
    events: Vec<Value>,
}

/// QEMU answers within milliseconds, unless its host is very busy.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

impl Qmp {
    /// Connects to the socket, which a QEMU just started makes within moments.
    pub fn connect(socket: &Path) -> Result<Self> {
        let give_up = Instant::now() + ANSWER_TIMEOUT;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > give_up => return Err(error).context("cannot reach QEMU's QMP socket"),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut qmp = Self { reader: BufReader::new(stream.try_clone()?), writer: stream, events: Vec::new() };
        qmp.read()?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and returns what it gave.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        writeln!(self.writer, "{}", json!({ "execute": command, "arguments": arguments }))?;
        loop {
            let mut message = self.read()?;
            if message.get("event").is_some() {
                self.events.push(message);
            } else if let Some(error) = message.get("error") {
                bail!("QEMU refused {command}: {}", error["desc"].as_str().unwrap_or("no reason"));
            } else {
                return Ok(message["return"].take());
            }
        }
    }

    /// Runs a command of QEMU's own monitor and returns its text.
    pub fn monitor(&mut self, line: &str) -> Result<String> {
        let text = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Reads what is left until QEMU closes the connection, and returns the reason of its shutdown, such as
    /// `guest-reset`.
    pub fn shutdown_reason(mut self) -> Option<String> {
        while let Ok(message) = self.read() {
            self.events.push(message);
        }
        self.events.iter().rfind(|event| event["event"] == "SHUTDOWN").and_then(|event| Some(event["data"]["reason"].as_str()?.to_owned()))
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("QEMU closed the connection");
        }
        Ok(serde_json::from_str(&line)?)
    }
}
