//! Macros of the `signalr` crate, which exports them; do not depend on this crate.
//!
//! | file | content |
//! |---|---|
//! | `hub.rs` | `#[hub]`: the options, the block, the implementation of `Hub` |
//! | `method.rs` | one method, and the statement that registers it |
//! | `hooks.rs` | `on_connected`, `on_authentication_refreshed` and `on_disconnected` |
//! | `signature.rs` | checks of method signatures |
//! | `authorize.rs` | `#[authorize]` and `#[allow_anonymous]`, below `#[hub]` and above it |
//! | `client.rs` | `#[hub_client]` |
//! | `names.rs` | method names in the hub protocol |
//! | `ordinal.rs` | case-insensitive comparison of names |
//! | `attributes.rs`, `errors.rs` | lookup of attributes; collected errors |
//!
//! A macro sees tokens, only the compiler sees types. Errors that the tokens reveal are reported
//! here. All others come from the traits of `signalr`, in generated code whose spans point to the
//! user's code. Everything in an expansion could also be written by hand.

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
///     /// Clients invoke it as `SendMessage`.
///     async fn send_message(&self, caller: &Caller<Self>, message: Message) -> HubResult {
///         if message.text.is_empty() {
///             return Err(HubError::new("The message is empty."));
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
/// `#[hub]` goes on an inherent impl block, generic or not. The block contains only methods, and
/// **clients can call each of them**; helpers, constructors and constants belong in another impl
/// block. A type has one `#[hub]` block.
///
/// | option | meaning | default |
/// |---|---|---|
/// | `client = ChatClient` | contract of the clients, defined by [`#[hub_client]`](macro@hub_client) | `AnyClient`: by name only |
/// | `items = Session` | state of each connection (C#: `Context.Items`): a type with `Default`, at least as public as the hub | `()` |
/// | `include = Base::methods` | function that adds methods shared by several hubs, generic over the hub; may be repeated | |
/// | `attribute = Ward(7)` | value that filters and policies find by its type; may be repeated | |
///
/// # Methods
///
/// **Names.** Clients invoke `send_message` as `SendMessage`: the first letter of each word becomes
/// upper case, underscores are removed, and nothing else changes. `#[hub(name = "GetRoom")]` sets
/// another name. Method names are case-insensitive, so two names that differ only in case do not
/// compile.
///
/// **Parameters.** `&self` is followed by any number of parameters. A parameter *by reference* is
/// the caller, `&Caller<Self>`. A parameter *by value* is an argument of the invocation, an owned
/// type with `serde::Deserialize`: `String`, not `&str`. Clients send as many arguments as there
/// are parameters by value, at most twelve.
///
/// **Return type.** Nothing, a type with `serde::Serialize`, or a `Result` of either whose error
/// converts into `HubError`. Aliases of `Result` are recognised by their type. The value may borrow
/// from the hub. `impl Stream` returns a server stream. Methods are `async fn` or plain functions;
/// their futures must be `Send`.
///
/// **Attributes.** Documentation and all other attributes stay on the method; `#[cfg(..)]` also
/// applies to the registration. `#[hub(attribute = RateLimit { per_second: 5 })]` attaches a value
/// that filters and policies read with `call.attribute::<RateLimit>()`. Its expression is evaluated
/// once, when the server is built. A method may have several; those of the block apply to all of
/// its methods.
///
/// # Connection events
///
/// Three method names are reserved: the server calls these methods, and clients cannot. Each takes
/// any number of the parameters shown here from the left, returns nothing or a `Result<(), _>`, and
/// may be `async` or not:
///
/// ```
/// # use signalr::{Caller, DisconnectReason, HubResult, hub};
/// # struct Chat;
/// # #[hub]
/// # impl Chat {
/// async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
///     # let _ = caller;
///     Ok(()) // an error closes the connection
/// }
///
/// async fn on_authentication_refreshed(&self, caller: &Caller<Self>) -> HubResult {
///     # let _ = caller;
///     Ok(()) // an error is logged, and the connection stays open
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
/// [`#[authorize]`](macro@authorize) on the block restricts connecting, on a method calling it.
///
/// # Expansion
///
/// `#[hub]` keeps the block and adds an implementation of `signalr::Hub` that registers each
/// method:
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
///     async fn on_connected(&self, caller: &Caller<Self>) -> HubResult { /* calls the method of the block */ }
/// }
/// ```
#[proc_macro_attribute]
pub fn hub(arguments: TokenStream, item: TokenStream) -> TokenStream {
    hub::expand(arguments.into(), &item.into()).into()
}

/// Turns a trait into a client contract: typed methods with which the server invokes client
/// methods.
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
/// /// Methods of a dashboard in the browser.
/// #[hub_client]
/// pub trait DashboardClient {
///     /// New vital signs on a ward that the dashboard watches.
///     fn vitals_updated(&self, vitals: &Vitals);
///
///     #[hub(name = "Toast")]
///     fn show_toast(&self, text: &str, seconds: u32);
///
///     /// Asks the user, and returns a client result.
///     fn confirm(&self, question: &str) -> bool;
/// }
///
/// # pub struct Dashboard;
/// # #[hub(client = DashboardClient)]
/// # impl Dashboard {
/// # async fn publish(&self, caller: &Caller<Self>) -> HubResult {
/// # let vitals = Vitals { heart_rate: 60 };
/// caller.others().vitals_updated(&vitals).await?; // invokes `VitalsUpdated` of all other clients
/// caller.client().send("Rename", ("Ward 7",)).await?; // by name, as on every proxy
/// let confirmed: bool = caller.client().confirm("Discharge the patient?").await?;
/// # let _ = confirmed;
/// # Ok(())
/// # }
/// # }
/// ```
///
/// Names are derived as for [`#[hub]`](macro@hub). Parameters are plain names with types that have
/// `serde::Serialize`, owned or borrowed, at most twelve. The trait has no generics and no
/// supertraits. Its methods take `&self` and have no body.
///
/// # Client results
///
/// A method with a return type returns a *client result* (C#: `InvokeAsync<T>`): the server waits
/// until the client has returned a value. Write the type of that value, with `serde::Deserialize`:
/// `bool`, not `Result<bool, _>`. The generated method returns `Result<bool, InvokeError>`.
///
/// Such methods exist for a single client only, such as `caller.client()` or
/// `clients().client(id)`. On a group or all clients they do not compile.
///
/// The only timeout is that of the caller:
///
/// ```
/// # use std::time::Duration;
/// # use signalr::{Caller, HubError, HubResult, hub, hub_client};
/// # #[hub_client]
/// # pub trait DashboardClient {
/// #     fn confirm(&self, question: &str) -> bool;
/// # }
/// # pub struct Dashboard;
/// # #[hub(client = DashboardClient)]
/// # impl Dashboard {
/// async fn discharge(&self, caller: &Caller<Self>) -> HubResult {
///     let client = caller.client();
///     let confirmed = client.confirm("Discharge the patient?");
///     match tokio::time::timeout(Duration::from_secs(30), confirmed).await {
///         Ok(Ok(true)) => Ok(()),
///         Ok(Ok(false)) => Err(HubError::new("Not confirmed.")),
///         Ok(Err(error)) => Err(error.into()), // the client failed, or disconnected
///         Err(_) => Err(HubError::new("No confirmation within 30 seconds.")),
///     }
/// }
/// # }
/// ```
///
/// # Expansion
///
/// A struct with the name, visibility and documentation of the trait, and no trait:
///
/// ```text
/// pub struct DashboardClient<T = Many>(Proxy<T>);
///
/// impl<T> DashboardClient<T> {
///     pub async fn vitals_updated(&self, vitals: &Vitals) -> Result<(), hub::SendError> {
///         self.0.send("VitalsUpdated", (vitals,)).await
///     }
/// }
///
/// impl DashboardClient<Single> {
///     pub async fn confirm(&self, question: &str) -> Result<bool, hub::InvokeError> {
///         self.0.invoke("Confirm", (question,)).await
///     }
/// }
/// ```
///
/// The struct implements `HubClient`, which `#[hub(client = DashboardClient)]` requires,
/// `From<Proxy<T>>`, `Deref<Target = Proxy<T>>` and `Debug`.
#[proc_macro_attribute]
pub fn hub_client(arguments: TokenStream, item: TokenStream) -> TokenStream {
    client::expand(&arguments.into(), &item.into()).into()
}

/// Restricts connecting to a hub, or calling one of its methods (C#: `[Authorize]`).
///
/// ```
/// # use signalr::{HubResult, hub};
/// # struct Dashboard;
/// #[hub]
/// #[authorize] // authenticated users may connect
/// impl Dashboard {
///     #[authorize(policy = "DoctorsOnly")]
///     async fn order_medication(&self, drug: String) -> HubResult {
///         # let _ = drug;
///         Ok(())
///     }
///
///     #[authorize(roles = "Nurse, Doctor")] // one of these roles
///     #[authorize(policy = "OnDuty")] // and this policy
///     async fn hand_over(&self) -> HubResult {
///         Ok(())
///     }
/// }
/// ```
///
/// | form | requires |
/// |---|---|
/// | `#[authorize]` | an authenticated user |
/// | `#[authorize(policy = "..")]` | a user that meets the named policy |
/// | `#[authorize(roles = "A, B")]` | a user with one of these roles |
/// | `#[authorize(schemes = "A, B")]` | a user authenticated by these authentication schemes; other schemes are ignored |
///
/// Several attributes must all be met, and so must `policy` and `roles` of the same attribute. The
/// rules of a method are added to those of its hub. Building the server fails if a policy or scheme
/// does not exist. `schemes` can be combined with `policy` and `roles`, and is allowed on the block
/// only: the user is authenticated when the client connects.
///
/// On the block it may stand above or below [`#[hub]`](macro@hub). In a `#[hub]` block it needs no
/// `use`. It does not compile where it would have no effect: without `#[hub]`, on `on_connected`,
/// on a client contract.
#[proc_macro_attribute]
pub fn authorize(arguments: TokenStream, item: TokenStream) -> TokenStream {
    authorize::attribute("authorize", &arguments.into(), &item.into()).into()
}

/// Allows all clients to connect to a hub, regardless of the fallback policy and the rules of its
/// path (C#: `[AllowAnonymous]`).
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
///     #[authorize(roles = "Admin")] // still applies
///     async fn restart(&self) {}
/// }
/// ```
///
/// Credentials are still authenticated. On a method the attribute has no effect in C#, and does not
/// compile here.
#[proc_macro_attribute]
pub fn allow_anonymous(arguments: TokenStream, item: TokenStream) -> TokenStream {
    authorize::attribute("allow_anonymous", &arguments.into(), &item.into()).into()
}
