//! A real `nats-server`, which Debian and others package.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Instant;

use crate::DEADLINE;

/// A `nats-server` on a free port, which can be ended, stopped and started again.
#[derive(Debug)]
pub struct NatsServer {
    port: u16,
    args: Vec<String>,
    process: Mutex<Child>,
}

impl NatsServer {
    /// Starts a server with these arguments. Returns `None`, and prints that the test is skipped,
    /// if `nats-server` is not installed.
    pub fn start(args: &[&str]) -> Option<Self> {
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        // -1: any free port.
        match spawn("-1", &args) {
            Ok((process, port)) => Some(Self { port, args, process: Mutex::new(process) }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("skipped: nats-server is not installed");
                None
            }
            Err(error) => panic!("nats-server does not start: {error}"),
        }
    }

    /// Returns host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server at once.
    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts a killed server again, on its port.
    pub fn restart(&self) {
        let (process, _) = spawn(&self.port.to_string(), &self.args).unwrap();
        *self.process.lock().unwrap() = process;
    }

    /// Stops the process, which keeps its sockets open, and waits until it has stopped.
    pub fn pause(&self) {
        self.signal("-STOP");
        let threads = format!("/proc/{}/task", self.process.lock().unwrap().id());
        let began = Instant::now();
        while !all_stopped(Path::new(&threads)) {
            assert!(began.elapsed() < DEADLINE, "nats-server does not stop");
            thread::yield_now();
        }
    }

    /// Continues a stopped process.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.lock().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap();
        // Fails if it was killed.
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// Returns whether all threads of a process are stopped, according to Linux.
fn all_stopped(threads: &Path) -> bool {
    fs::read_dir(threads).unwrap().all(|thread| {
        let stat = fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
        // The state follows the name of the program.
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    })
}

/// Returns the process when it listens, and its port.
fn spawn(port: &str, args: &[String]) -> std::io::Result<(Child, u16)> {
    let mut command = Command::new("nats-server");
    command.args(["--addr", "127.0.0.1", "--port", port]).args(args);
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let (tx, rx) = mpsc::channel();
    let log = process.stderr.take().unwrap();
    thread::spawn(move || read_log(log, &tx));
    match rx.recv_timeout(DEADLINE) {
        Ok(port) => Ok((process, port)),
        Err(_) => {
            process.kill()?;
            process.wait()?;
            Err(std::io::Error::other("nats-server did not begin to listen"))
        }
    }
}

/// Sends the port when the server is ready, and reads on, so that the server does not wait.
fn read_log(log: ChildStderr, tx: &mpsc::Sender<u16>) {
    let mut port = None;
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        if let Some((_, address)) = line.split_once("Listening for client connections on ") {
            port = address.rsplit(':').next().and_then(|port| port.trim().parse().ok());
        }
        if line.contains("Server is ready")
            && let Some(port) = port
        {
            // Fails when the caller has stopped waiting.
            let _ = tx.send(port);
        }
    }
}
