//! Errors of hub methods and reasons for disconnections, with the texts that clients receive.

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use super::client_results::InvokeError;
use crate::protocol::ProtocolError;

/// Result of a hub method.
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

/// Error of a hub method.
///
/// [`HubError::new`] creates an error whose message clients receive (C#: `HubException`). The `?`
/// operator converts every other error into a `HubError`, which is logged, and hidden from clients
/// unless [`enable_detailed_errors`](crate::hosting::Builder::enable_detailed_errors) is set.
/// Because of that conversion, `HubError` itself does not implement `std::error::Error`.
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
    /// Short type name, shown to clients before the message, as .NET shows the type of an
    /// exception.
    type_name: Cow<'static, str>,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// Sent to the client.
    Exposed(String),
    /// Written to the log only, unless detailed errors are on.
    Internal(Box<dyn Error + Send + Sync>),
}

impl HubError {
    /// Creates an error whose message is sent to the client (C#: `new HubException(message)`).
    pub fn new(message: impl Into<String>) -> Self {
        Self { type_name: Cow::Borrowed(HUB_EXCEPTION), cause: Cause::Exposed(message.into()) }
    }

    /// Creates an error that is logged and hidden from the client, from a value that `?` does not
    /// convert, such as a text or a boxed error.
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { type_name: Cow::Borrowed(HUB_EXCEPTION), cause: Cause::Internal(error.into()) }
    }

    /// Sets the type name that clients see before the message, for clients that match the name of a
    /// .NET exception. The default is `HubException`, or the name of the Rust type that `?`
    /// converted.
    #[must_use]
    pub fn with_type_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.type_name = name.into();
        self
    }

    /// Returns the type name that clients see before the message.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Returns whether the message is sent to clients even if detailed errors are off.
    pub fn is_exposed(&self) -> bool {
        matches!(self.cause, Cause::Exposed(_))
    }

    /// Returns the error that `?` converted, if its type is `E`. Filters use it to handle specific
    /// errors.
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

    /// Returns `base`, followed by type name and message if the client is allowed to see them
    /// (`aspnet: ErrorMessageHelper`).
    pub(crate) fn client_message(&self, base: &str, detailed: bool) -> String {
        if detailed || self.is_exposed() { format!("{base} {}: {self}", self.type_name) } else { base.to_owned() }
    }

    /// The error of a client result is sent to the caller, as a `HubException` is.
    fn from_invoke_error(error: &InvokeError) -> Self {
        let converted = match error {
            InvokeError::Client(_) | InvokeError::Mismatch { .. } => Self::new(error.to_string()),
            _ => Self::internal(error.to_string()),
        };
        converted.with_type_name(error.type_name())
    }

    /// Error of a hub method that panicked. Its connection stays open.
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

/// Returns the last segment of the path of a type, without type parameters: `ParseIntError`.
fn short_name<T>() -> &'static str {
    let path = type_name::<T>().split('<').next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or(path)
}

/// Converts any error into a [`HubError`] whose message is sent to the client.
///
/// ```
/// # use signalr::{Expose, HubResult};
/// fn bed(text: &str) -> HubResult<u32> {
///     Ok(text.parse().expose()?)
/// }
/// assert!(bed("x").unwrap_err().is_exposed());
/// ```
pub trait Expose<T> {
    /// Exposes the message of the error to the client, as a `HubException` does.
    ///
    /// # Errors
    ///
    /// Returns the original error as an exposed [`HubError`].
    fn expose(self) -> HubResult<T>;
}

impl<T, E: fmt::Display> Expose<T> for Result<T, E> {
    fn expose(self) -> HubResult<T> {
        self.map_err(|error| HubError::new(error.to_string()))
    }
}

/// Error that ended a connection (C#: the exception of `OnDisconnectedAsync`).
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
///             println!("{} disconnected: {reason}", caller.connection_id());
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

    /// Returns the short name of the corresponding .NET exception, such as:
    ///
    /// - `InvalidDataException`: a message violated the hub protocol.
    /// - `InvalidOperationException`: the client sent the client result of another connection, or a
    ///   sequence id of a message that it never sent.
    /// - `KeyNotFoundException`: a stream item named an unknown stream, and preceded its id in a
    ///   JSON message.
    /// - `OperationCanceledException`: the client exceeded the client timeout, or did not
    ///   acknowledge messages in time.
    /// - `HubException`: the client closed the connection with an error.
    /// - `ConnectionAbortedException`: [`Proxy::disconnect`](crate::hub::Proxy::disconnect) closed
    ///   the connection.
    /// - `WebSocketException`: the client violated the WebSocket protocol or did not complete its
    ///   close handshake.
    pub fn type_name(&self) -> &str {
        self.0.type_name()
    }

    /// Returns the message.
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
    fn exposed_errors_are_always_sent_to_clients() {
        let error = HubError::new("no stock");
        assert_eq!(error.client_message(BASE, false), format!("{BASE} HubException: no stock"));
        let exposed = "x".parse::<u8>().expose().unwrap_err();
        assert_eq!(exposed.client_message(BASE, false), format!("{BASE} HubException: invalid digit found in string"));
    }

    #[test]
    fn internal_errors_are_sent_only_with_detailed_errors() {
        let error = HubError::from("x".parse::<u8>().unwrap_err());
        assert_eq!(error.client_message(BASE, false), BASE);
        assert_eq!(error.client_message(BASE, true), format!("{BASE} ParseIntError: invalid digit found in string"));
        let named = HubError::internal("secret").with_type_name("InvalidOperationException");
        assert_eq!(named.client_message(BASE, false), BASE);
        assert_eq!(named.client_message(BASE, true), format!("{BASE} InvalidOperationException: secret"));
    }
}
