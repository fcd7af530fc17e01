//! `sexton demo-server`: the daemon of the demo's units, as small as a daemon can be.
//!
//! ```text
//!   warm up ──▶ listen ──▶ answer each request with a line of its own, and with what those it asks answer
//!           └─▶ without a port: ask, and exit with 0
//! ```
//!
//! It speaks enough of HTTP/1.0 for a probe and for a person. It is no part of PID 1.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::model::spawn::errno_words;

use crate::cli::args::demo::ServerArgs;
use crate::cli::{Exit, Screen};

/// The longest request or answer that is read, and how long either is waited for.
const LONGEST_MESSAGE: u64 = 4096;
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves until it is killed; without a port it does its work and ends.
pub(in crate::cli) fn serve(args: &ServerArgs, screen: &mut Screen<'_>) -> Exit {
    match try_serve(args, screen) {
        Ok(exit) => exit,
        Err(words) => {
            screen.warn(&format!("{words}\n"));
            Exit::Failed
        }
    }
}

fn try_serve(args: &ServerArgs, screen: &mut Screen<'_>) -> Result<Exit, String> {
    let (port, greeting) = match &args.config {
        Some(path) => configuration(path)?,
        None => (args.port, "here is".to_owned()),
    };
    if let Some(duration) = args.warm_up {
        #[allow(clippy::disallowed_methods, reason = "it plays a daemon that has much to read at its start")]
        std::thread::sleep(duration);
    }
    if port == 0 {
        for line in answer(args, &greeting)?.lines() {
            screen.say(&format!("{line}\n"));
        }
        return Ok(Exit::Done);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .map_err(|error| format!("cannot listen on {address}: {}", in_words(&error)))?;
    screen.say(&format!("listening on {address}\n"));
    for stream in listener.incoming() {
        // A client that goes away is the client's affair.
        let _ = stream.and_then(|stream| respond(stream, || answer(args, &greeting)));
    }
    Ok(Exit::Done)
}

fn configuration(path: &PathBuf) -> Result<(u16, String), String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read '{}': {}", path.display(), in_words(&error)))?;
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let port = value("port ").and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| format!("'{}' names no port", path.display()))?;
    Ok((port, value("greeting ").unwrap_or("hello").to_owned()))
}

/// Its own line, and below it the lines of those it asks.
fn answer(args: &ServerArgs, greeting: &str) -> Result<String, String> {
    let mut text = format!("{greeting} from {}, pid {}\n", args.name, std::process::id());
    for port in &args.asks {
        let theirs = ask(*port).map_err(|error| format!("cannot ask port {port}: {}", in_words(&error)))?;
        for line in theirs.lines() {
            text += &format!("  {line}\n");
        }
    }
    Ok(text)
}

fn respond(mut stream: TcpStream, answer: impl FnOnce() -> Result<String, String>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request: Vec<u8> = Vec::new();
    let mut chunk = [0; 512];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && (request.len() as u64) < LONGEST_MESSAGE {
        match stream.read(&mut chunk)? {
            // A probe that only connects says nothing and wants no answer.
            0 => return Ok(()),
            read => request.extend(chunk.iter().take(read)),
        }
    }
    match answer() {
        Ok(text) => write!(stream, "HTTP/1.0 200 OK\r\n\r\n{text}"),
        Err(words) => write!(stream, "HTTP/1.0 503 Service Unavailable\r\n\r\n{words}\n"),
    }
}

/// Asks the server on a port of 127.0.0.1; the text of its answer.
pub(super) fn ask(port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.take(LONGEST_MESSAGE).read_to_string(&mut text)?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
        Some((_, body)) => Err(io::Error::other(body.trim().to_owned())),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn in_words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), errno_words)
}
