//! Deserialization of raw arguments into the parameters of a hub method, in one pass.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};

use super::upload::{UploadSender, UploadStream};
use crate::protocol::{RawArguments, ReadError};

/// A parameter of a hub method: an owned type with `serde::Deserialize`, or an [`UploadStream`].
///
/// ```
/// use signalr::{UploadStream, hub};
///
/// #[derive(serde::Deserialize)]
/// struct Dose {
///     milligrams: u32,
/// }
///
/// struct Pumps;
///
/// #[hub]
/// impl Pumps {
///     async fn give(&self, dose: Dose, reason: Option<String>, _pressures: UploadStream<f64>) {
///         println!("{} mg: {reason:?}", dose.milligrams);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a hub method parameter",
    label = "not a hub method parameter",
    note = "a parameter is the caller (`&Caller<Self>`), an owned type with `serde::Deserialize`, or an `UploadStream`"
)]
pub trait Param: Sized + Send + 'static {
    /// Number of client streams that the parameter takes: 0 or 1. A parameter without a stream is
    /// an argument.
    #[doc(hidden)]
    const STREAMS: usize = 0;

    #[doc(hidden)]
    fn take<'de, A: SeqAccess<'de>>(arguments: &mut A) -> Result<Option<Self>, A::Error>;

    /// Returns the value if the parameter is an argument.
    #[doc(hidden)]
    fn argument(&mut self) -> Option<&mut dyn Any> {
        None
    }

    /// Adds the sending half of the stream to `uploads`.
    #[doc(hidden)]
    fn add_upload(&self, uploads: &mut Uploads) {
        let _ = uploads;
    }
}

/// Sending halves of the streams that a method reads.
#[derive(Debug, Default)]
pub struct Uploads(pub(crate) Vec<Arc<dyn UploadSender>>);

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + Send + 'static> Param for T {
    fn take<'de, A: SeqAccess<'de>>(arguments: &mut A) -> Result<Option<Self>, A::Error> {
        arguments.next_element()
    }

    fn argument(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }
}

impl<T: DeserializeOwned + Send + 'static> Param for UploadStream<T> {
    const STREAMS: usize = 1;

    fn take<'de, A: SeqAccess<'de>>(_: &mut A) -> Result<Option<Self>, A::Error> {
        Ok(Some(Self::new()))
    }

    fn add_upload(&self, uploads: &mut Uploads) {
        uploads.0.push(self.sender());
    }
}

/// The parameters of a hub method: a tuple of up to twelve [`Param`]s.
///
/// ```
/// # use signalr::hub::Methods;
/// # use signalr::Hub;
/// # fn list<H: Hub>(methods: &mut Methods<H>) {
/// methods.method("Add", |_, _, (a, b): (i32, i32)| async move { Ok(a + b) });
/// methods.method("Ping", |_, _, (): ()| async { Ok("pong") });
/// # }
/// ```
pub trait Params: Sized + Send + 'static {
    /// Number of arguments that the client sends.
    #[doc(hidden)]
    const COUNT: usize;

    /// Number of streams that the client sends.
    #[doc(hidden)]
    const STREAMS: usize;

    #[doc(hidden)]
    fn take<'de, A: SeqAccess<'de>>(arguments: &mut A) -> Result<Option<Self>, A::Error>;

    #[doc(hidden)]
    fn uploads(&self) -> Uploads;

    /// Returns an argument; `at` counts from 0, without streams.
    #[doc(hidden)]
    fn argument(&mut self, at: usize) -> Option<&mut dyn Any>;
}

macro_rules! tuples {
    ($($count:literal: $($name:ident)*;)*) => {$(
        impl<$($name: Param),*> Params for ($($name,)*) {
            const COUNT: usize = $count - Self::STREAMS;
            const STREAMS: usize = 0 $(+ $name::STREAMS)*;

            #[expect(non_snake_case, reason = "the names of type parameters are used as variables")]
            fn take<'de, Access: SeqAccess<'de>>(arguments: &mut Access) -> Result<Option<Self>, Access::Error> {
                $(let Some($name) = $name::take(arguments)? else { return Ok(None) };)*
                Ok(Some(($($name,)*)))
            }

            #[expect(non_snake_case, reason = "the names of type parameters are used as variables")]
            fn uploads(&self) -> Uploads {
                let mut uploads = Uploads::default();
                if Self::STREAMS > 0 {
                    let ($($name,)*) = self;
                    $($name.add_upload(&mut uploads);)*
                }
                uploads
            }

            #[expect(non_snake_case, reason = "the names of type parameters are used as variables")]
            fn argument(&mut self, at: usize) -> Option<&mut dyn Any> {
                let ($($name,)*) = self;
                [$($name.argument()),*].into_iter().flatten().nth(at)
            }
        }
    )*};
}

impl Params for () {
    const COUNT: usize = 0;
    const STREAMS: usize = 0;

    fn take<'de, A: SeqAccess<'de>>(_: &mut A) -> Result<Option<Self>, A::Error> {
        Ok(Some(()))
    }

    fn uploads(&self) -> Uploads {
        Uploads::default()
    }

    fn argument(&mut self, _: usize) -> Option<&mut dyn Any> {
        None
    }
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

/// Parameters of a call, with the sending halves of their streams.
#[derive(Debug)]
pub struct ParsedArguments<P> {
    pub(crate) params: P,
    pub(super) uploads: Uploads,
}

/// Binds `arguments` to `P`.
///
/// # Errors
///
/// The message is that of ASP.NET Core for arguments that do not match.
///
/// Never inlined: the code for one list of types is large, and many methods share a list.
#[inline(never)]
pub fn bind_arguments<P: Params>(arguments: &RawArguments<'_>) -> Result<ParsedArguments<P>, ReadError> {
    let params = arguments.bind_with(P::COUNT, || TupleVisitor::<P>(PhantomData))?;
    Ok(ParsedArguments { uploads: params.uploads(), params })
}

struct TupleVisitor<P>(PhantomData<P>);

impl<'de, P: Params> Visitor<'de> for TupleVisitor<P> {
    type Value = P;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} arguments", P::COUNT)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut arguments: A) -> Result<P, A::Error> {
        P::take(&mut arguments)?.ok_or_else(|| A::Error::invalid_length(0, &self))
    }
}
