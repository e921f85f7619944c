//! Errors of hub methods and of connections, and the texts that clients receive.

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use super::client_results::InvokeError;
use crate::protocol::ProtocolError;

/// Return type of hub methods.
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
/// [`HubError::new`] has a text for the client (C#: `HubException`). `?` converts every other error:
/// it is logged, and hidden from the client unless
/// [`enable_detailed_errors`](crate::hosting::Builder::enable_detailed_errors) is set. Because of this
/// conversion `HubError` does not implement `std::error::Error`.
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
    /// Short type name that precedes the message, as .NET prints exceptions.
    type_name: Cow<'static, str>,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// Text for the client.
    Exposed(String),
    /// Error for the log.
    Internal(Box<dyn Error + Send + Sync>),
}

impl HubError {
    /// Creates an error with a message for the client (C#: `new HubException(message)`).
    pub fn new(message: impl Into<String>) -> Self {
        Self { type_name: Cow::Borrowed(HUB_EXCEPTION), cause: Cause::Exposed(message.into()) }
    }

    /// Creates an error that is logged and hidden from the client, from an error or text that `?` does not
    /// convert.
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { type_name: Cow::Borrowed(HUB_EXCEPTION), cause: Cause::Internal(error.into()) }
    }

    /// Sets the type name that precedes the message for clients which expect the name of a .NET exception.
    /// The default is `HubException`, or the name of the type that `?` converted.
    #[must_use]
    pub fn with_type_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.type_name = name.into();
        self
    }

    /// Type name that precedes the message for clients.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Whether clients receive the message.
    pub fn is_exposed(&self) -> bool {
        matches!(self.cause, Cause::Exposed(_))
    }

    /// Error that `?` converted, if its type is `E`.
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

    /// `base`, followed by type and message if the client may receive them (`aspnet: ErrorMessageHelper`).
    pub(crate) fn explain(&self, base: &str, detailed: bool) -> String {
        if detailed || self.is_exposed() { format!("{base} {}: {self}", self.type_name) } else { base.to_owned() }
    }

    /// The error text of a client result is exposed to the caller, as that of a `HubException`.
    fn not_answered(error: &InvokeError) -> Self {
        let told = match error {
            InvokeError::Client(_) | InvokeError::Mismatch { .. } => Self::new(error.to_string()),
            _ => Self::internal(error.to_string()),
        };
        told.with_type_name(error.type_name())
    }

    /// A panic fails the call and not the connection.
    pub(crate) fn panicked() -> Self {
        Self::internal("the hub method panicked")
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HubError {
    fn from(error: E) -> Self {
        if let Some(invoke) = (&error as &dyn Any).downcast_ref::<InvokeError>() {
            return Self::not_answered(invoke);
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

/// Last segment of the path of a type, without type parameters: `ParseIntError`.
fn short_name<T>() -> &'static str {
    let path = type_name::<T>().split('<').next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or(path)
}

/// Exposes the text of any error to the client.
///
/// ```
/// # use signalr::{Expose, HubResult};
/// fn bed(text: &str) -> HubResult<u32> {
///     Ok(text.parse().expose()?)
/// }
/// assert!(bed("x").unwrap_err().is_exposed());
/// ```
pub trait Expose<T> {
    /// Exposes the text of the error to the client, as that of a `HubException`.
    ///
    /// # Errors
    ///
    /// The error itself, exposed.
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
///             println!("{} disconnected: {}: {}", caller.connection_id(), reason.type_name(), reason.message());
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

    /// Short name of the .NET exception: `InvalidDataException` for a malformed message,
    /// `OperationCanceledException` for the client timeout, `HubException` for a Close message with an
    /// error, `ConnectionAbortedException` for [`Proxy::disconnect`](crate::hub::Proxy::disconnect).
    pub fn type_name(&self) -> &str {
        self.0.type_name()
    }

    /// Message of the error.
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
    fn exposed_errors_are_sent_always() {
        let error = HubError::new("no stock");
        assert_eq!(error.explain(BASE, false), format!("{BASE} HubException: no stock"));
        let exposed = "x".parse::<u8>().expose().unwrap_err();
        assert_eq!(exposed.explain(BASE, false), format!("{BASE} HubException: invalid digit found in string"));
    }

    #[test]
    fn other_errors_are_sent_with_detailed_errors() {
        let error = HubError::from("x".parse::<u8>().unwrap_err());
        assert_eq!(error.explain(BASE, false), BASE);
        assert_eq!(error.explain(BASE, true), format!("{BASE} ParseIntError: invalid digit found in string"));
        let named = HubError::internal("secret").with_type_name("InvalidOperationException");
        assert_eq!(named.explain(BASE, false), BASE);
        assert_eq!(named.explain(BASE, true), format!("{BASE} InvalidOperationException: secret"));
    }
}
