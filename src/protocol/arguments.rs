//! Arguments of outgoing invocations.

use serde::Serialize;
use serde::ser::{SerializeSeq, SerializeTuple, Serializer};

/// Arguments of an invocation: a tuple of up to twelve values, or a list of values of one type.
///
/// `Serialize` does not suffice: serde writes `()` as null, but an invocation without arguments
/// needs an empty array.
///
/// ```
/// # use signalr::hub::{Arguments, SendError};
/// # use signalr::{Hub, HubContext};
/// async fn tell<H: Hub>(hub: &HubContext<H>, what: impl Arguments) -> Result<(), SendError> {
///     hub.clients().all().send("Told", what).await
/// }
/// # async fn all<H: Hub>(hub: &HubContext<H>) -> Result<(), SendError> {
/// tell(hub, ("bed 3", 72)).await?;
/// tell(hub, ("one",)).await?;
/// tell(hub, ()).await
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of arguments",
    label = "not a list of arguments",
    note = "arguments are a tuple such as `(\"text\", 1)`, one value is `(value,)`, none is `()`"
)]
pub trait Arguments: Send + Sync {
    /// Serializes the arguments as a list whose length `serializer` receives before the elements.
    ///
    /// # Errors
    ///
    /// Returns the errors of the serializer and of the arguments' `Serialize` implementations.
    fn serialize_list<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

/// Serializes [`Arguments`] as a value.
pub(super) struct ArgumentList<'a, A: ?Sized>(pub(super) &'a A);

impl<A: Arguments + ?Sized> Serialize for ArgumentList<'_, A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_list(serializer)
    }
}

impl<T: Serialize + Send + Sync> Arguments for [T] {
    fn serialize_list<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for argument in self {
            list.serialize_element(argument)?;
        }
        list.end()
    }
}

impl<T: Serialize + Send + Sync> Arguments for Vec<T> {
    fn serialize_list<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize_list(serializer)
    }
}

impl<T: Serialize + Send + Sync, const N: usize> Arguments for [T; N] {
    fn serialize_list<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize_list(serializer)
    }
}

impl<A: Arguments + ?Sized> Arguments for &A {
    fn serialize_list<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize_list(serializer)
    }
}

impl Arguments for () {
    fn serialize_list<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_tuple(0)?.end()
    }
}

macro_rules! tuples {
    ($($count:literal: $($name:ident)*;)*) => {$(
        impl<$($name: Serialize + Send + Sync),*> Arguments for ($($name,)*) {
            #[expect(non_snake_case, reason = "the variables have the names of the type parameters")]
            fn serialize_list<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let ($($name,)*) = self;
                let mut list = serializer.serialize_tuple($count)?;
                $(list.serialize_element($name)?;)*
                list.end()
            }
        }
    )*};
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
    9: A B C D E F G H I;
    10: A B C D E F G H I J;
    11: A B C D E F G H I J K;
    12: A B C D E F G H I J K L;
}
