//! The macros of the `signalr` crate; use them from there.
//!
//! | file | what is in it |
//! |---|---|
//! | `hub.rs` | `#[hub]`: the options, the block, the implementation of `Hub` |
//! | `method.rs` | one method, and the statement that registers it |
//! | `hooks.rs` | `on_connected`, `on_authentication_refreshed` and `on_disconnected` |
//! | `signature.rs` | what a method may look like |
//! | `authorize.rs` | `#[authorize]`, below `#[hub]` and above it |
//! | `client.rs` | `#[hub_client]` |
//! | `names.rs` | names on the wire |
//! | `attributes.rs`, `errors.rs` | attributes by name; every problem at once |
//!
//! A macro knows tokens, the compiler knows types: what can be told from the tokens alone is refused here, everything else
//! is left to the traits of `signalr`, by code that carries the place it is about. The expansion holds nothing that could
//! not be written by hand.

mod attributes;
mod authorize;
mod client;
mod errors;
mod hooks;
mod hub;
mod method;
mod names;
mod ordinal;
mod signature;

use proc_macro::TokenStream;

/// Makes the methods of an impl block callable by clients.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// use signalr::{Caller, DisconnectReason, HubError, HubResult, hub, hub_client};
///
/// struct Chat {
///     room: String,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Message {
///     text: String,
/// }
///
/// #[hub_client]
/// trait ChatClient {
///     fn receive_message(&self, message: &Message);
/// }
///
/// #[hub(client = ChatClient)]
/// #[authorize]
/// impl Chat {
///     async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
///         caller.join(&self.room).await?;
///         Ok(())
///     }
///
///     /// Clients call it `SendMessage`.
///     async fn send_message(&self, caller: &Caller<Self>, message: Message) -> HubResult {
///         if message.text.is_empty() {
///             return Err(HubError::new("There is nothing in it."));
///         }
///         caller.others_in_group(&self.room).receive_message(&message).await?;
///         Ok(())
///     }
///
///     #[hub(name = "GetRoom")]
///     #[authorize(policy = "Members")]
///     fn room(&self) -> &str {
///         &self.room
///     }
/// }
/// ```
///
/// # The block
///
/// It is an inherent impl block, generic or not. It may hold methods only, and **each of them can be called** by clients;
/// helpers, constructors and constants live in another impl block. There is one `#[hub]` block for a type.
///
/// | option | meaning | default |
/// |---|---|---|
/// | `client = ChatClient` | the contract of the clients, made by [`#[hub_client]`](macro@hub_client) | `AnyClient`: by name only |
/// | `items = Session` | what is remembered of each connection, a type with `Default`; at least as public as the hub | `()` |
/// | `include = Base::methods` | a function that adds methods shared by several hubs, generic over the hub; may be repeated | |
/// | `attribute = Ward(7)` | a value of any type that filters and policies find by it; may be repeated | |
///
/// # Methods
///
/// **Names.** `send_message` is `SendMessage` on the wire: each first letter is made upper case, the underscores go, and
/// nothing else changes. `#[hub(name = "GetRoom")]` gives another. Clients may write names in upper or lower case, so two
/// names that differ in case alone do not compile.
///
/// **Parameters.** After `&self` stand any number of parameters, told apart by one rule. *By reference is the caller*,
/// `&Caller<Self>`. *By value is an argument from the wire*, an owned type with `serde::Deserialize`: `String`, not `&str`.
/// Clients send as many arguments as there are parameters by value, at most twelve.
///
/// **Return.** Nothing, a value with `serde::Serialize`, or a `Result` of one whose error converts into `HubError`, under
/// any name: aliases of `Result` are recognised by their type. What is returned may be borrowed from the hub. Methods are
/// `async fn` or plain functions, and their futures are `Send`.
///
/// **Attributes.** Documentation and every other attribute stay on the method; `#[cfg(..)]` counts for clients, too.
/// `#[hub(attribute = RateLimit { per_second: 5 })]` says something of the method for filters and policies to read, by
/// `call.attribute::<RateLimit>()`: any expression, whose value is made once, when the server is built. There may be several,
/// and those in the parentheses of the block hold for all of its methods.
///
/// # Coming and going
///
/// Three names are reserved and cannot be called by clients. All take as many of these parameters as they need, return
/// nothing or a result of nothing, and need not be `async`:
///
/// ```
/// # use signalr::{Caller, DisconnectReason, HubResult, hub};
/// # struct Chat;
/// # #[hub]
/// # impl Chat {
/// async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
///     # let _ = caller;
///     Ok(()) // an error ends the connection
/// }
///
/// async fn on_authentication_refreshed(&self, caller: &Caller<Self>) -> HubResult {
///     # let _ = caller;
///     Ok(()) // an error is logged, and the connection lives on
/// }
///
/// async fn on_disconnected(&self, caller: &Caller<Self>, reason: Option<&DisconnectReason>) -> HubResult {
///     # let _ = (caller, reason);
///     Ok(())
/// }
/// # }
/// ```
///
/// # Authorization
///
/// [`#[authorize]`](macro@authorize) on the block decides who may connect, on a method who may call it.
///
/// # Expansion
///
/// The block itself, and an implementation of `signalr::Hub` that registers each method:
///
/// ```text
/// impl Hub for Chat {
///     type Client = ChatClient;
///     type Items = ();
///     fn authorize() -> Vec<Authorize> { vec![Authorize::user()] }
///     fn methods(methods: &mut Methods<Self>) {
///         methods.insert("SendMessage", |invocation, arguments| { /* bind, call, reply */ });
///         methods.insert("GetRoom", ..).authorize(Authorize::policy("Members"));
///     }
///     async fn on_connected(&self, caller: &Caller<Self>) -> HubResult { /* calls the block's own */ }
/// }
/// ```
#[proc_macro_attribute]
pub fn hub(arguments: TokenStream, item: TokenStream) -> TokenStream {
    hub::expand(arguments.into(), &item.into()).into()
}

/// Makes a client contract of a trait: what clients offer to the server, to be called by typed methods.
///
/// ```
/// # use serde::Serialize;
/// # use signalr::{Caller, HubResult, hub};
/// use signalr::hub_client;
///
/// #[derive(Serialize)]
/// pub struct Vitals {
///     heart_rate: u16,
/// }
///
/// /// What a dashboard in the browser offers to the server.
/// #[hub_client]
/// pub trait DashboardClient {
///     /// New vital signs on a ward the dashboard watches.
///     fn vitals_updated(&self, vitals: &Vitals);
///
///     #[hub(name = "Toast")]
///     fn show_toast(&self, text: &str, seconds: u32);
/// }
///
/// # pub struct Dashboard;
/// # #[hub(client = DashboardClient)]
/// # impl Dashboard {
/// # async fn publish(&self, caller: &Caller<Self>) -> HubResult {
/// # let vitals = Vitals { heart_rate: 60 };
/// caller.others().vitals_updated(&vitals).await?; // calls `VitalsUpdated` of all the others
/// caller.client().send("Rename", ("Ward 7",)).await?; // by name, as on every proxy
/// # Ok(())
/// # }
/// # }
/// ```
///
/// Names are made as [`#[hub]`](macro@hub) makes them. Parameters are plain names with types that have
/// `serde::Serialize`, owned or borrowed, at most twelve. The trait is generic over nothing and extends nothing; it holds
/// methods with `&self`, without a body and without a return type.
///
/// # Expansion
///
/// One struct of the trait's name, visibility and documentation, and no trait:
///
/// ```text
/// pub struct DashboardClient<T = Many>(Proxy<T>);
///
/// impl<T> DashboardClient<T> {
///     pub async fn vitals_updated(&self, vitals: &Vitals) -> Result<(), hub::SendError> {
///         self.0.send("VitalsUpdated", (vitals,)).await
///     }
/// }
/// ```
///
/// with `HubClient`, so that `#[hub(client = DashboardClient)]` finds it, `From<Proxy<T>>`, `Deref<Target = Proxy<T>>` and
/// `Debug`.
#[proc_macro_attribute]
pub fn hub_client(arguments: TokenStream, item: TokenStream) -> TokenStream {
    client::expand(&arguments.into(), &item.into()).into()
}

/// Says who may connect to a hub, or call a method of it (C#: `[Authorize]`).
///
/// ```
/// # use signalr::{HubResult, hub};
/// # struct Dashboard;
/// #[hub]
/// #[authorize] // to connect: any authenticated user
/// impl Dashboard {
///     #[authorize(policy = "DoctorsOnly")]
///     async fn order_medication(&self, drug: String) -> HubResult {
///         # let _ = drug;
///         Ok(())
///     }
///
///     #[authorize(roles = "Nurse, Doctor")] // one of them
///     #[authorize(policy = "OnDuty")] // and this
///     async fn hand_over(&self) -> HubResult {
///         Ok(())
///     }
/// }
/// ```
///
/// | form | asks for |
/// |---|---|
/// | `#[authorize]` | an authenticated user |
/// | `#[authorize(policy = "..")]` | what the policy of this name asks for |
/// | `#[authorize(roles = "A, B")]` | one of these roles |
/// | `#[authorize(schemes = "A, B")]` | an authenticated user, as these schemes of the server tell it and no others |
///
/// Several must all be met, and so must both parts of `#[authorize(policy = "..", roles = "..")]`. A method asks for what
/// the hub asks for, and for more. Whether policies and schemes are there is checked when the server is built. Schemes may
/// stand beside a policy and roles, and on the block alone: when a method is called, it is known who calls.
///
/// On the block it may stand above or below [`#[hub]`](macro@hub). Where it would protect nothing it does not compile:
/// without `#[hub]`, on `on_connected`, on a client contract. In a `#[hub]` block it needs no `use`.
#[proc_macro_attribute]
pub fn authorize(arguments: TokenStream, item: TokenStream) -> TokenStream {
    authorize::attribute("authorize", &arguments.into(), &item.into()).into()
}

/// Lets everybody connect to a hub, whatever the fallback policy and the rules of its paths say (C#: `[AllowAnonymous]`).
///
/// ```
/// # use signalr::hub;
/// # struct Status;
/// #[hub]
/// #[allow_anonymous]
/// impl Status {
///     async fn version(&self) -> &'static str {
///         "1.0"
///     }
///
///     #[authorize(roles = "Admin")] // holds all the same
///     async fn restart(&self) {}
/// }
/// ```
///
/// Who has a token is known all the same. On a method it has no effect in C#, and does not compile here.
#[proc_macro_attribute]
pub fn allow_anonymous(arguments: TokenStream, item: TokenStream) -> TokenStream {
    authorize::attribute("allow_anonymous", &arguments.into(), &item.into()).into()
}
