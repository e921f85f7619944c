//! Why a call failed, why a connection ended, and what clients are told of it.

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use super::client_results::InvokeError;
use crate::protocol::ProtocolError;

/// What a hub method returns.
///
/// ```
/// use signalr::{HubError, HubResult};
///
/// fn half(number: u32) -> HubResult<u32> {
///     if number % 2 == 0 { Ok(number / 2) } else { Err(HubError::new("That is odd.")) }
/// }
/// # assert_eq!(half(4).unwrap(), 2);
/// ```
pub type HubResult<T = ()> = Result<T, HubError>;

/// Why a hub method failed.
///
/// [`HubError::new`] carries a text that the client may read (C#: `HubException`). Every other error becomes one through
/// `?`: it is logged, and hidden from the client unless detailed errors are on. For that second conversion this is no
/// `std::error::Error` itself.
///
/// ```
/// # use signalr::{HubError, HubResult};
/// fn dose(text: &str) -> HubResult<u32> {
///     let milligrams: u32 = text.parse()?; // hidden
///     if milligrams > 500 {
///         return Err(HubError::new("At most 500 mg."));
///     }
///     Ok(milligrams)
/// }
/// ```
#[derive(Debug)]
pub struct HubError {
    /// The short type name that is printed before the message, as .NET prints its exceptions'.
    type_name: Cow<'static, str>,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// Meant for the client.
    Exposed(String),
    /// Meant for the log.
    Internal(Box<dyn Error + Send + Sync>),
}

impl HubError {
    /// An error whose message the client may read (C#: `new HubException(message)`).
    pub fn new(message: impl Into<String>) -> Self {
        Self { type_name: Cow::Borrowed(HUB_EXCEPTION), cause: Cause::Exposed(message.into()) }
    }

    /// An error that is logged and hidden from the client, from a value or a text that `?` does not take.
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { type_name: Cow::Borrowed(HUB_EXCEPTION), cause: Cause::Internal(error.into()) }
    }

    /// Changes the type name that stands before the message where clients see it; by default `HubException`, or the name
    /// of the Rust type that `?` converted. For clients that look for the name of a .NET exception.
    #[must_use]
    pub fn with_type_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.type_name = name.into();
        self
    }

    /// The name that stands before the message where clients see it.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Whether clients may read the message.
    pub fn is_exposed(&self) -> bool {
        matches!(self.cause, Cause::Exposed(_))
    }

    /// The error that `?` converted, if it was an `E`: for filters that know what to make of it.
    ///
    /// ```
    /// # use std::num::ParseIntError;
    /// # use signalr::HubError;
    /// let error = HubError::from("x".parse::<u8>().unwrap_err());
    /// assert!(error.downcast_ref::<ParseIntError>().is_some());
    /// ```
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match &self.cause {
            Cause::Exposed(_) => None,
            Cause::Internal(error) => error.downcast_ref(),
        }
    }

    /// `base`, followed by the type and the message where they may be seen (`aspnet: ErrorMessageHelper`).
    pub(crate) fn client_message(&self, base: &str, detailed: bool) -> String {
        if detailed || self.is_exposed() { format!("{base} {}: {self}", self.type_name) } else { base.to_owned() }
    }

    /// What a client answered with as its error may be read by the one that called the hub, as a `HubException` may.
    fn from_invoke_error(error: &InvokeError) -> Self {
        let converted = match error {
            InvokeError::Client(_) | InvokeError::Mismatch { .. } => Self::new(error.to_string()),
            _ => Self::internal(error.to_string()),
        };
        converted.with_type_name(error.type_name())
    }

    /// A hub method must not take the connection with it.
    pub(crate) fn panicked() -> Self {
        Self::internal("the hub method panicked")
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HubError {
    fn from(error: E) -> Self {
        if let Some(invoke) = (&error as &dyn Any).downcast_ref::<InvokeError>() {
            return Self::from_invoke_error(invoke);
        }
        Self { type_name: Cow::Borrowed(short_name::<E>()), cause: Cause::Internal(Box::new(error)) }
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Exposed(message) => f.write_str(message),
            Cause::Internal(error) => error.fmt(f),
        }
    }
}

const HUB_EXCEPTION: &str = "HubException";

/// The last part of a type's path, without type parameters: `ParseIntError`.
fn short_name<T>() -> &'static str {
    let path = type_name::<T>().split('<').next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or(path)
}

/// Turns any error into one that the client may read.
///
/// ```
/// # use signalr::{Expose, HubResult};
/// fn bed(text: &str) -> HubResult<u32> {
///     Ok(text.parse().expose()?)
/// }
/// assert!(bed("x").unwrap_err().is_exposed());
/// ```
pub trait Expose<T> {
    /// Makes the error's text visible to the client, as that of a `HubException`.
    ///
    /// # Errors
    ///
    /// The same one, exposed.
    fn expose(self) -> HubResult<T>;
}

impl<T, E: fmt::Display> Expose<T> for Result<T, E> {
    fn expose(self) -> HubResult<T> {
        self.map_err(|error| HubError::new(error.to_string()))
    }
}

/// Why a connection ended badly (C#: the exception of `OnDisconnectedAsync`).
///
/// ```
/// use signalr::{Caller, DisconnectReason, hub};
///
/// struct Lobby;
///
/// #[hub]
/// impl Lobby {
///     async fn on_disconnected(&self, caller: &Caller<Self>, reason: Option<&DisconnectReason>) {
///         if let Some(reason) = reason {
///             println!("{} is gone: {}: {}", caller.connection_id(), reason.type_name(), reason.message());
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisconnectReason(ProtocolError);

impl DisconnectReason {
    pub(crate) fn new(error: ProtocolError) -> Self {
        Self(error)
    }

    /// The short name of the .NET exception for it: `InvalidDataException` for a message that breaks the protocol,
    /// `OperationCanceledException` for a client that fell silent, `HubException` for one that left with an error,
    /// `ConnectionAbortedException` for a connection that was ended by [`Proxy::disconnect`](crate::hub::Proxy::disconnect).
    pub fn type_name(&self) -> &str {
        self.0.type_name()
    }

    /// The text of it.
    pub fn message(&self) -> &str {
        self.0.message()
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.type_name(), self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "An unexpected error occurred invoking 'X' on the server.";

    #[test]
    fn exposed_errors_are_told_always() {
        let error = HubError::new("no stock");
        assert_eq!(error.client_message(BASE, false), format!("{BASE} HubException: no stock"));
        let exposed = "x".parse::<u8>().expose().unwrap_err();
        assert_eq!(exposed.client_message(BASE, false), format!("{BASE} HubException: invalid digit found in string"));
    }

    #[test]
    fn other_errors_are_told_where_details_are_on() {
        let error = HubError::from("x".parse::<u8>().unwrap_err());
        assert_eq!(error.client_message(BASE, false), BASE);
        assert_eq!(error.client_message(BASE, true), format!("{BASE} ParseIntError: invalid digit found in string"));
        let named = HubError::internal("secret").with_type_name("InvalidOperationException");
        assert_eq!(named.client_message(BASE, false), BASE);
        assert_eq!(named.client_message(BASE, true), format!("{BASE} InvalidOperationException: secret"));
    }
}
