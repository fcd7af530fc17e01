//! Varlink: one message to one call, one answer to one message.
//!
//! ```text
//!   → {"method":"sexton.Manager.Stop","parameters":{"units":["web"]}}␀     more: many answers; oneway: none
//!   ← {"parameters":{"outcome":"done",…}}␀
//!   ← {"error":"sexton.Manager.NoSuchUnit","parameters":{"name":"wbe","nearest":"web"}}␀
//!   ← {"parameters":{"unit":"web",…},"continues":true}␀                    more will follow
//! ```
//!
//! See <https://varlink.org/Method-Call>.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::MethodError;
use super::method::{INTERFACE, Method};

/// The interface that every Varlink service has.
pub const SERVICE_INTERFACE: &str = "org.varlink.service";

/// How deep a message may nest. A call needs three (the message, its parameters, a list of units); the parser
/// recurses, and PID 1 cannot be asked to spend its stack on a client's brackets.
const MAX_DEPTH: usize = 16;

/// How many answers a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// One.
    One,
    /// As many as there are (`more`).
    Many,
    /// None, not even an error (`oneway`).
    None,
}

/// A message, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is called; or why it cannot be.
    pub target: Result<Target, MethodError>,
    /// What the caller wants to hear.
    pub replies: Replies,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `org.varlink.service.GetInfo`.
    GetInfo,
    /// `org.varlink.service.GetInterfaceDescription`, of this interface.
    GetInterfaceDescription(String),
    /// A method of `sexton.Manager`.
    Manager(Method),
}

/// Why a message is not one: whoever sent it does not speak Varlink, and the connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Garbled {
    /// It nests deeper than `MAX_DEPTH`.
    TooDeep,
    /// It is no JSON; the words are the parser's.
    NotJson(String),
    /// This field is missing, or of another type.
    Field(&'static str),
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Garbled::TooDeep => write!(f, "a message nests deeper than {MAX_DEPTH}"),
            Garbled::NotJson(words) => write!(f, "a message is not JSON: {words}"),
            Garbled::Field(field) => write!(f, "a message has no '{field}' of the right type"),
        }
    }
}

impl std::error::Error for Garbled {}

/// Reads a call.
pub fn read_request(message: &[u8]) -> Result<Request, Garbled> {
    if depth(message) > MAX_DEPTH {
        return Err(Garbled::TooDeep);
    }
    let mut message = read_object(message)?;
    let Some(Value::String(name)) = message.remove("method") else {
        return Err(Garbled::Field("method"));
    };
    let parameters = match message.remove("parameters") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(parameters)) => parameters,
        Some(_) => return Err(Garbled::Field("parameters")),
    };
    let more = flag(&message, "more")?;
    let oneway = flag(&message, "oneway")?;
    let replies = match (more, oneway) {
        (_, true) => Replies::None,
        (true, false) => Replies::Many,
        (false, false) => Replies::One,
    };
    // The connection cannot become anything else than it is.
    let target = match flag(&message, "upgrade")? {
        true => Err(MethodError::InvalidParameter("upgrade".to_owned())),
        false => read_target(&name, parameters),
    };
    Ok(Request { target, replies })
}

fn read_target(name: &str, mut parameters: Map<String, Value>) -> Result<Target, MethodError> {
    let Some((interface, method)) = name.rsplit_once('.') else {
        return Err(MethodError::MethodNotFound(name.to_owned()));
    };
    let invalid = |parameter: &str| MethodError::InvalidParameter(parameter.to_owned());
    match (interface, method) {
        (INTERFACE, method) => match Method::read(method, parameters) {
            Err(MethodError::MethodNotFound(_)) => Err(MethodError::MethodNotFound(name.to_owned())),
            other => other.map(Target::Manager),
        },
        (SERVICE_INTERFACE, "GetInfo") => match parameters.keys().next() {
            Some(unknown) => Err(invalid(unknown)),
            None => Ok(Target::GetInfo),
        },
        (SERVICE_INTERFACE, "GetInterfaceDescription") => {
            match (parameters.remove("interface"), parameters.keys().next()) {
                (_, Some(unknown)) => Err(invalid(unknown)),
                (Some(Value::String(interface)), None) => Ok(Target::GetInterfaceDescription(interface)),
                (_, None) => Err(invalid("interface")),
            }
        }
        (SERVICE_INTERFACE, _) => Err(MethodError::MethodNotFound(name.to_owned())),
        (interface, _) => Err(MethodError::InterfaceNotFound(interface.to_owned())),
    }
}

/// Will more answers follow this one?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continues {
    /// This is the last.
    No,
    /// More will follow.
    Yes,
}

/// An answer, with its NUL. `parameters` must become a JSON object.
pub fn write_reply<T: Serialize>(parameters: &T, continues: Continues) -> Vec<u8> {
    let mut message = b"{\"parameters\":".to_vec();
    if serde_json::to_writer(&mut message, parameters).is_err() {
        // No type of the wire can fail to be written: none has a map whose keys are not strings.
        message = b"{\"parameters\":{}".to_vec();
    }
    message.extend_from_slice(match continues {
        Continues::No => b"}\0",
        Continues::Yes => b",\"continues\":true}\0",
    });
    message
}

/// An error, with its NUL.
pub fn write_error(error: &MethodError) -> Vec<u8> {
    let mut message = Map::new();
    message.insert("error".to_owned(), Value::String(error.name().to_owned()));
    message.insert("parameters".to_owned(), Value::Object(error.parameters()));
    ended(message)
}

/// A call, with its NUL.
pub fn write_request(method: &Method, replies: Replies) -> Vec<u8> {
    let mut message = Map::new();
    message.insert("method".to_owned(), Value::String(format!("{INTERFACE}.{}", method.name())));
    message.insert("parameters".to_owned(), Value::Object(method.parameters()));
    match replies {
        Replies::One => None,
        Replies::Many => message.insert("more".to_owned(), Value::Bool(true)),
        Replies::None => message.insert("oneway".to_owned(), Value::Bool(true)),
    };
    ended(message)
}

fn ended(message: Map<String, Value>) -> Vec<u8> {
    let mut bytes = Value::Object(message).to_string().into_bytes();
    bytes.push(0);
    bytes
}

/// An answer, read.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The call did what it says.
    Parameters(Value, Continues),
    /// It did not.
    Error {
        /// The error's name.
        name: String,
        /// Its parameters.
        parameters: Value,
    },
}

/// Reads an answer. It is trusted to nest no deeper than `serde_json` allows.
pub fn read_reply(message: &[u8]) -> Result<Reply, Garbled> {
    let mut message = read_object(message)?;
    let parameters = match message.remove("parameters") {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(parameters) => parameters,
    };
    match message.remove("error") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) => return Ok(Reply::Error { name, parameters }),
        Some(_) => return Err(Garbled::Field("error")),
    }
    let continues = if flag(&message, "continues")? { Continues::Yes } else { Continues::No };
    Ok(Reply::Parameters(parameters, continues))
}

fn read_object(message: &[u8]) -> Result<Map<String, Value>, Garbled> {
    serde_json::from_slice(message).map_err(|error| Garbled::NotJson(error.to_string()))
}

fn flag(message: &Map<String, Value>, name: &'static str) -> Result<bool, Garbled> {
    match message.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Garbled::Field(name)),
    }
}

/// How deep the brackets of a text nest that may or may not be JSON. Those inside strings do not count.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests;
