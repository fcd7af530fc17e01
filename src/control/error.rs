//! What a call can be refused with: the errors of `org.varlink.service` and of `sexton.Manager`.
//!
//! The server writes them and the client reads them back, so that both know the same words.

use std::fmt;

use serde_json::{Map, Value};

/// An error as it stands in a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodError {
    /// There is no such interface here.
    InterfaceNotFound(String),
    /// The interface has no such method.
    MethodNotFound(String),
    /// The interface has it, this sexton does not do it.
    MethodNotImplemented(String),
    /// A parameter is missing, unknown or of another type; holds its name.
    InvalidParameter(String),
    /// The caller may not do this.
    PermissionDenied,
    /// The method answers more than once and was not called with `more`.
    ExpectedMore,
    /// There is no unit of this name.
    NoSuchUnit {
        /// The name that was given.
        name: String,
        /// The name of a unit that is near it.
        nearest: Option<String>,
    },
    /// There is no signal of this name.
    InvalidSignal(String),
    /// sexton closes the connection after this.
    Disconnected(String),
}

impl MethodError {
    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            MethodError::InterfaceNotFound(_) => "org.varlink.service.InterfaceNotFound",
            MethodError::MethodNotFound(_) => "org.varlink.service.MethodNotFound",
            MethodError::MethodNotImplemented(_) => "org.varlink.service.MethodNotImplemented",
            MethodError::InvalidParameter(_) => "org.varlink.service.InvalidParameter",
            MethodError::PermissionDenied => "org.varlink.service.PermissionDenied",
            MethodError::ExpectedMore => "org.varlink.service.ExpectedMore",
            MethodError::NoSuchUnit { .. } => "sexton.Manager.NoSuchUnit",
            MethodError::InvalidSignal(_) => "sexton.Manager.InvalidSignal",
            MethodError::Disconnected(_) => "sexton.Manager.Disconnected",
        }
    }

    /// Its parameters on the wire.
    pub fn parameters(&self) -> Map<String, Value> {
        let mut parameters = Map::new();
        let mut add = |name: &str, value: &str| {
            parameters.insert(name.to_owned(), Value::String(value.to_owned()));
        };
        match self {
            MethodError::InterfaceNotFound(interface) => add("interface", interface),
            MethodError::MethodNotFound(method) | MethodError::MethodNotImplemented(method) => {
                add("method", method);
            }
            MethodError::InvalidParameter(parameter) => add("parameter", parameter),
            MethodError::PermissionDenied | MethodError::ExpectedMore => {}
            MethodError::NoSuchUnit { name, nearest } => {
                add("name", name);
                if let Some(nearest) = nearest {
                    add("nearest", nearest);
                }
            }
            MethodError::InvalidSignal(signal) => add("signal", signal),
            MethodError::Disconnected(reason) => add("reason", reason),
        }
        parameters
    }

    /// Reads one back; `None` when it is none of these.
    pub fn read(name: &str, parameters: &Value) -> Option<MethodError> {
        let optional = |key: &str| parameters.get(key).and_then(Value::as_str).map(str::to_owned);
        let get = |key: &str| optional(key).unwrap_or_default();
        Some(match name {
            "org.varlink.service.InterfaceNotFound" => MethodError::InterfaceNotFound(get("interface")),
            "org.varlink.service.MethodNotFound" => MethodError::MethodNotFound(get("method")),
            "org.varlink.service.MethodNotImplemented" => MethodError::MethodNotImplemented(get("method")),
            "org.varlink.service.InvalidParameter" => MethodError::InvalidParameter(get("parameter")),
            "org.varlink.service.PermissionDenied" => MethodError::PermissionDenied,
            "org.varlink.service.ExpectedMore" => MethodError::ExpectedMore,
            "sexton.Manager.NoSuchUnit" => {
                MethodError::NoSuchUnit { name: get("name"), nearest: optional("nearest") }
            }
            "sexton.Manager.InvalidSignal" => MethodError::InvalidSignal(get("signal")),
            "sexton.Manager.Disconnected" => MethodError::Disconnected(get("reason")),
            _ => return None,
        })
    }
}

impl fmt::Display for MethodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MethodError::InterfaceNotFound(interface) => {
                write!(f, "there is no interface '{interface}' here")
            }
            MethodError::MethodNotFound(method) => write!(f, "there is no method '{method}'"),
            MethodError::MethodNotImplemented(method) => write!(f, "this sexton does not do '{method}'"),
            MethodError::InvalidParameter(parameter) => {
                write!(f, "the parameter '{parameter}' is missing, unknown or of another type")
            }
            MethodError::PermissionDenied => {
                write!(
                    f,
                    "permission denied; root and sexton's own user may do this, all but skip a configtest its control group, and \
                     the host of a machine where its gateway has --allow-changes"
                )
            }
            MethodError::ExpectedMore => write!(f, "this method must be called with 'more'"),
            MethodError::NoSuchUnit { name, nearest: Some(nearest) } => {
                write!(f, "there is no unit '{name}'; did you mean '{nearest}'?")
            }
            MethodError::NoSuchUnit { name, nearest: None } if name.contains(['*', '?', '[']) => {
                write!(f, "no unit matches '{name}'")
            }
            MethodError::NoSuchUnit { name, nearest: None } => write!(f, "there is no unit '{name}'"),
            MethodError::InvalidSignal(signal) => write!(f, "there is no signal '{signal}'"),
            MethodError::Disconnected(reason) => write!(f, "sexton closed the connection: {reason}"),
        }
    }
}

impl std::error::Error for MethodError {}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every error once.
    pub(in crate::control) fn every_error() -> Vec<MethodError> {
        let text = || "x".to_owned();
        vec![
            MethodError::InterfaceNotFound(text()),
            MethodError::MethodNotFound(text()),
            MethodError::MethodNotImplemented(text()),
            MethodError::InvalidParameter(text()),
            MethodError::PermissionDenied,
            MethodError::ExpectedMore,
            MethodError::NoSuchUnit { name: text(), nearest: Some("y".to_owned()) },
            MethodError::NoSuchUnit { name: text(), nearest: None },
            MethodError::InvalidSignal(text()),
            MethodError::Disconnected(text()),
        ]
    }

    #[test]
    fn every_error_is_read_as_it_was_written() {
        for error in every_error() {
            let parameters = Value::Object(error.parameters());
            assert_eq!(MethodError::read(error.name(), &parameters), Some(error));
        }
        assert_eq!(MethodError::read("io.example.Other", &Value::Null), None);
    }

    #[test]
    fn every_error_says_in_words_what_is_wrong() {
        let words: Vec<String> = every_error().iter().map(MethodError::to_string).collect();
        assert_eq!(
            words,
            [
                "there is no interface 'x' here",
                "there is no method 'x'",
                "this sexton does not do 'x'",
                "the parameter 'x' is missing, unknown or of another type",
                "permission denied; root and sexton's own user may do this, all but skip a configtest its control group, and \
                     the host of a machine where its gateway has --allow-changes",
                "this method must be called with 'more'",
                "there is no unit 'x'; did you mean 'y'?",
                "there is no unit 'x'",
                "there is no signal 'x'",
                "sexton closed the connection: x",
            ]
        );
    }
}
