//! The command line's end: connects, calls and waits. It blocks, and never runs inside PID 1.
//!
//! ```text
//!   Client::connect(path) ──▶ call(&Method::Status) ──▶ ManagerStatus
//!                         ├─▶ stream(&Method::Events) ──▶ UnitEvent, UnitEvent, …
//!                         └─▶ converse(&Method::Restart) ──▶ hear(): Report(progress) …, Report, or a signal
//! ```

use std::fmt;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::MethodError;
use super::framing::{Inbox, OF_A_SERVER};
use super::method::Method;
use super::protocol::{self, Continues, Replies, Reply};
use crate::model::time::Spoken;
use crate::sys::poll::{Interest, Poller, Token};
use crate::sys::signals::SignalFd;
use crate::sys::vsock;

/// A connection to a running sexton.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    inbox: Inbox,
    timeout: Option<Duration>,
}

impl Client {
    /// Connects to the control socket at `path`, or, where that is `vsock:CID:PORT`, to the gateway of a virtual machine.
    pub fn connect(path: &Path) -> Result<Client, ConnectError> {
        let stream = match path.to_str().and_then(|path| path.strip_prefix("vsock:")) {
            Some(address) => connect_vsock(address),
            None => UnixStream::connect(path),
        };
        match stream {
            Ok(stream) => Ok(Client { stream, inbox: Inbox::new(OF_A_SERVER), timeout: None }),
            Err(error) => Err(ConnectError { path: path.to_owned(), cause: Cause::of(&error) }),
        }
    }

    /// How long to wait for each answer; for ever when this was not said.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// The same, unless it was said already.
    pub fn set_default_timeout(&mut self, timeout: Duration) {
        self.timeout.get_or_insert(timeout);
    }

    /// Calls a method and waits for its answer.
    pub fn call<R: DeserializeOwned>(&mut self, method: &Method) -> Result<R, CallError> {
        self.write(method, Replies::One)?;
        let (parameters, _) = self.read()?;
        understand(parameters)
    }

    /// Calls a method that answers more than once. The answers end when one says that it is the last, and with
    /// the first error.
    pub fn stream<R: DeserializeOwned>(&mut self, method: &Method) -> Result<Stream<'_, R>, CallError> {
        self.write(method, Replies::Many)?;
        Ok(Stream { client: self, next: Continues::Yes, answer: PhantomData })
    }

    /// Calls a method that tells how it gets on. `interrupts` are heard of in between.
    pub fn converse<'a>(
        &'a mut self,
        method: &Method,
        interrupts: Option<&'a SignalFd>,
    ) -> Result<Conversation<'a>, CallError> {
        let poller = Poller::new().map_err(CallError::Io)?;
        poller.add(self.stream.as_fd(), SOCKET, Interest::Read).map_err(CallError::Io)?;
        if let Some(signals) = interrupts {
            poller.add(signals.as_fd(), SIGNALS, Interest::Read).map_err(CallError::Io)?;
        }
        self.write(method, Replies::Many)?;
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        Ok(Conversation { client: self, poller, interrupts, deadline })
    }

    fn write(&mut self, method: &Method, replies: Replies) -> Result<(), CallError> {
        // The system takes a timeout of zero for a mistake.
        let timeout = self.timeout.map(|timeout| timeout.max(Duration::from_millis(1)));
        self.stream.set_write_timeout(timeout).map_err(CallError::Io)?;
        let message = protocol::write_request(method, replies);
        match self.stream.write_all(&message) {
            Ok(()) => Ok(()),
            // sexton may have said why it hung up before it did.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.read().map_or_else(Err, |_| Err(CallError::HungUp))
            }
            Err(error) => Err(self.io_error(error)),
        }
    }

    fn read(&mut self) -> Result<(Value, Continues), CallError> {
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(message) = self.inbox.take() {
                return answer(&message);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(self.io_error(io::ErrorKind::WouldBlock.into()));
            }
            self.stream.set_read_timeout(left).map_err(CallError::Io)?;
            self.read_some(&mut chunk)?;
        }
    }

    fn read_some(&mut self, chunk: &mut [u8]) -> Result<(), CallError> {
        match self.stream.read(chunk) {
            Ok(0) => Err(CallError::HungUp),
            Ok(length) => {
                let bytes = chunk.get(..length).unwrap_or_default();
                self.inbox.push(bytes).map_err(|overrun| CallError::NotUnderstood(overrun.to_string()))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(self.io_error(error)),
        }
    }

    fn io_error(&self, error: io::Error) -> CallError {
        match (error.kind(), self.timeout) {
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Some(timeout)) => {
                CallError::TimedOut(timeout)
            }
            (io::ErrorKind::ConnectionReset, _) => CallError::HungUp,
            _ => CallError::Io(error),
        }
    }
}

fn connect_vsock(address: &str) -> io::Result<UnixStream> {
    let numbers =
        address.split_once(':').and_then(|(cid, port)| Some((cid.parse().ok()?, port.parse().ok()?)));
    let Some((cid, port)) = numbers else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "an address is vsock:CID:PORT, both numbers",
        ));
    };
    vsock::connect(cid, port).map(UnixStream::from)
}

/// The answers of a method that answers more than once.
#[derive(Debug)]
pub struct Stream<'a, R> {
    client: &'a mut Client,
    next: Continues,
    answer: PhantomData<R>,
}

impl<R: DeserializeOwned> Iterator for Stream<'_, R> {
    type Item = Result<R, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::replace(&mut self.next, Continues::No) == Continues::No {
            return None;
        }
        Some(self.client.read().and_then(|(parameters, continues)| {
            let answer = understand(parameters)?;
            self.next = continues;
            Ok(answer)
        }))
    }
}

const SOCKET: Token = Token::new(0, 0);
const SIGNALS: Token = Token::new(1, 0);

/// A call that is being served, whoever called it told of its progress and of signals meanwhile.
#[derive(Debug)]
pub struct Conversation<'a> {
    client: &'a mut Client,
    poller: Poller,
    interrupts: Option<&'a SignalFd>,
    deadline: Option<Instant>,
}

/// What was heard.
#[derive(Debug)]
pub enum Heard<R> {
    /// How the call gets on.
    Progress(R),
    /// Its answer; nothing comes after it.
    Answer(R),
    /// A signal.
    Interrupted,
    /// Nothing, for as long as was waited.
    Nothing,
}

impl Conversation<'_> {
    /// Waits for something to be heard, no longer than `patience`; for ever without one.
    pub fn hear<R: DeserializeOwned>(&mut self, patience: Option<Duration>) -> Result<Heard<R>, CallError> {
        let wake = patience.map(|patience| Instant::now() + patience);
        let mut ready = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(message) = self.client.inbox.take() {
                let (parameters, continues) = answer(&message)?;
                return Ok(match continues {
                    Continues::Yes => Heard::Progress(understand(parameters)?),
                    Continues::No => Heard::Answer(understand(parameters)?),
                });
            }
            let now = Instant::now();
            if let (Some(_), Some(timeout)) =
                (self.deadline.filter(|deadline| *deadline <= now), self.client.timeout)
            {
                return Err(CallError::TimedOut(timeout));
            }
            if wake.is_some_and(|wake| wake <= now) {
                return Ok(Heard::Nothing);
            }
            let until = [wake, self.deadline].into_iter().flatten().min();
            let left = until.map(|until| until.saturating_duration_since(now));
            self.poller.wait(&mut ready, left).map_err(CallError::Io)?;
            if ready.iter().any(|readiness| readiness.token == SIGNALS)
                && let Some(Ok(Some(_))) = self.interrupts.map(SignalFd::next)
            {
                return Ok(Heard::Interrupted);
            }
            if ready.iter().any(|readiness| readiness.token == SOCKET) {
                self.client.read_some(&mut chunk)?;
            }
        }
    }

    /// Says that nobody wants to wait: what has stopped nothing yet is given up. Its answer still comes.
    pub fn abandon(&mut self) -> Result<(), CallError> {
        self.client.write(&Method::Abandon, Replies::None)
    }
}

fn answer(message: &[u8]) -> Result<(Value, Continues), CallError> {
    match protocol::read_reply(message) {
        Ok(Reply::Parameters(parameters, continues)) => Ok((parameters, continues)),
        Ok(Reply::Error { name, parameters }) => Err(match MethodError::read(&name, &parameters) {
            Some(error) => CallError::Method(error),
            None => CallError::Unknown { name, parameters },
        }),
        Err(garbled) => Err(CallError::NotUnderstood(garbled.to_string())),
    }
}

fn understand<R: DeserializeOwned>(parameters: Value) -> Result<R, CallError> {
    serde_json::from_value(parameters).map_err(|error| CallError::NotUnderstood(error.to_string()))
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectError {
    /// The socket.
    pub path: PathBuf,
    /// What stood in the way.
    pub cause: Cause,
}

/// What stands in the way of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no socket.
    Missing,
    /// There is one, and nobody listens.
    Refused,
    /// It belongs to somebody else.
    Denied,
    /// Something else; the words are the system's.
    Other(String),
}

impl Cause {
    fn of(error: &io::Error) -> Cause {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Cause::Missing,
            // A vsock port where nobody listens resets who connects.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Cause::Refused,
            io::ErrorKind::PermissionDenied => Cause::Denied,
            _ => Cause::Other(error.to_string()),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::Missing => write!(f, "no sexton is running here ('{path}' does not exist)"),
            Cause::Refused => write!(f, "no sexton is running here (nobody listens on '{path}')"),
            Cause::Denied => write!(f, "cannot connect to '{path}': permission denied; try it as root"),
            Cause::Other(words) => write!(f, "cannot connect to '{path}': {words}"),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Why a call has no answer.
#[derive(Debug)]
pub enum CallError {
    /// sexton answered with this error.
    Method(MethodError),
    /// sexton answered with an error that this client does not know.
    Unknown {
        /// Its name.
        name: String,
        /// Its parameters.
        parameters: Value,
    },
    /// No answer came in this time.
    TimedOut(Duration),
    /// The connection ended before the answer.
    HungUp,
    /// What came is not what the method answers; the words say why.
    NotUnderstood(String),
    /// The connection failed.
    Io(io::Error),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Method(error) => error.fmt(f),
            CallError::Unknown { name, parameters } => write!(f, "sexton answered {name} {parameters}"),
            CallError::TimedOut(time) => write!(f, "sexton did not answer within {}", Spoken(*time)),
            CallError::HungUp => write!(f, "sexton ended the connection before it answered"),
            CallError::NotUnderstood(words) => write!(f, "cannot understand sexton's answer: {words}"),
            CallError::Io(error) => write!(f, "cannot talk to sexton: {error}"),
        }
    }
}

impl std::error::Error for CallError {}

#[cfg(test)]
mod tests;
