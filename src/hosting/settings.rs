//! The options that a server and each of its endpoints may set, with ASP.NET's names and defaults.

use std::time::Duration;

use super::builder::Builder;
use super::cors::{Cors, CorsPolicy};
use super::endpoint::EndpointBuilder;
use super::error::BuildError;
use crate::auth::{IdentityBinding, User};
use crate::connection_info::{RequestInfo, Transports};
use crate::connections::{
    AllowedOrigins, Limits, Redirect, Redirector, RefreshCheck, RefreshOptions, SubProtocolSelector, TransportOptions,
};
use crate::hub::{Filters, Hub};
use crate::options::HubOptions;
use crate::protocol::{HubProtocolKind, Naming};

/// Default of `transport_send_timeout`.
pub(super) const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(10);

macro_rules! settings {
    (
        hubs { $($(#[$hub_doc:meta])* $hub_name:ident: $hub_type:ty = $hub_default:expr;)* }
        endpoints { $($(#[$doc:meta])* $name:ident: $type:ty = $default:expr;)* }
        converted { $($(#[$converted_doc:meta])* $converted:ident($argument:ident: $argument_type:ty): $converted_type:ty = $convert:expr;)* }
    ) => {
        /// Every option, set or not.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Settings {
            $($name: Option<$type>,)*
            $($hub_name: Option<$hub_type>,)*
            $($converted: Option<$converted_type>,)*
            /// These do not stand for the server's, but inside of them.
            pub(super) filters: Filters,
            pub(super) refresh_check: Option<RefreshCheck>,
        }

        impl Settings {
            /// What holds for an endpoint: its own settings, else the server's, else the defaults.
            fn resolve(&self, server: &Self) -> Resolved {
                let (own, server) = (self.clone(), server.clone());
                Resolved {
                    $($name: own.$name.or(server.$name).unwrap_or_else(|| $default),)*
                    $($hub_name: own.$hub_name.or(server.$hub_name).unwrap_or_else(|| $hub_default),)*
                    $($converted: own.$converted.or(server.$converted),)*
                }
            }
        }

        struct Resolved {
            $($name: $type,)*
            $($hub_name: $hub_type,)*
            $($converted: Option<$converted_type>,)*
        }

        /// Options for all endpoints; what one sets itself comes first.
        impl Builder {
            $($(#[$doc])* pub fn $name(mut self, value: $type) -> Self {
                self.settings.$name = Some(value);
                self
            })*
            $($(#[$hub_doc])* pub fn $hub_name(mut self, value: $hub_type) -> Self {
                self.settings.$hub_name = Some(value);
                self
            })*

            $($(#[$converted_doc])* pub fn $converted(mut self, $argument: $argument_type) -> Self {
                self.settings.$converted = Some($convert);
                self
            })*
        }

        /// Options of this path, whatever it is mapped to.
        impl<T> EndpointBuilder<T> {
            $($(#[$doc])* pub fn $name(mut self, value: $type) -> Self {
                self.endpoint.settings.$name = Some(value);
                self
            })*

            $($(#[$converted_doc])* pub fn $converted(mut self, $argument: $argument_type) -> Self {
                self.endpoint.settings.$converted = Some($convert);
                self
            })*
        }

        /// Options of this hub.
        impl<H: Hub> EndpointBuilder<H> {
            $($(#[$hub_doc])* pub fn $hub_name(mut self, value: $hub_type) -> Self {
                self.endpoint.settings.$hub_name = Some(value);
                self
            })*
        }
    };
}

settings! {
    hubs {
        /// Whether clients are told the text of every error, not only of those that are exposed. Off by default: such
        /// texts can tell more than they should. (C#: `HubOptions.EnableDetailedErrors`)
        enable_detailed_errors: bool = false;
        /// The largest message a client may send, in bytes with its framing; `None` is no limit, which lets any client
        /// fill the memory. 32 KiB by default. (C#: `HubOptions.MaximumReceiveMessageSize`)
        maximum_receive_message_size: Option<usize> = Some(32 * 1024);
        /// How many calls of one connection run side by side. 1 by default: calls end in the order in which they came.
        /// (C#: `HubOptions.MaximumParallelInvocationsPerClient`)
        maximum_parallel_invocations_per_client: usize = 1;
        /// How long a client may take for its handshake. 15 seconds by default. (C#: `HubOptions.HandshakeTimeout`)
        handshake_timeout: Duration = Duration::from_secs(15);
        /// How often clients are pinged, so that they and every proxy see a living connection; looked at once a second.
        /// 15 seconds by default: half of what clients wait. (C#: `HubOptions.KeepAliveInterval`)
        keep_alive_interval: Duration = Duration::from_secs(15);
        /// How long a client that has pinged once may be silent; looked at once a second. 30 seconds by default: twice
        /// what clients ping by. (C#: `HubOptions.ClientTimeoutInterval`)
        client_timeout_interval: Duration = Duration::from_secs(30);
        /// The formats a client may choose from. All by default. (C#: `HubOptions.SupportedProtocols`)
        supported_protocols: Vec<HubProtocolKind> = HubProtocolKind::ALL.to_vec();
        /// How fields of structs and variants of enums are spelled on the wire. As serde has them by default;
        /// [`Naming::DotNet`] spells them as ASP.NET Core does.
        naming: Naming = Naming::default();
        /// How many bytes are kept for a client that may go on with another WebSocket, before who sends to it must wait
        /// until it says that it has them. 100,000 by default. (C#: `HubOptions.StatefulReconnectBufferSize`)
        stateful_reconnect_buffer_size: usize = 100_000;
        /// How many items of a stream that a client sends may wait for the method that reads it; then nothing more is read
        /// from that client. 10 by default. (C#: `HubOptions.StreamBufferCapacity`)
        stream_buffer_capacity: usize = 10;
        /// How many streams, of either direction, may be open on one connection; one more is refused with an error. 1,000
        /// by default; C# knows no limit.
        max_streams: usize = 1000;
        /// Whether a client that asks for it may go on with another WebSocket when it loses its own: nothing is lost then,
        /// and the hub notices nothing. What it was sent is kept for that until it says that it has it. Off by default.
        /// (C#: `HttpConnectionDispatcherOptions.AllowStatefulReconnects`)
        allow_stateful_reconnects: bool = false;
    }
    endpoints {
        /// The transports that clients are offered. All by default. (C#: `HttpConnectionDispatcherOptions.Transports`)
        transports: Transports = Transports::all();
        /// The lowest version of the negotiation that is served: 0, the default, or 1, which refuses clients whose
        /// connection id would be their secret, too. (C#: `HttpConnectionDispatcherOptions.MinimumProtocolVersion`)
        minimum_protocol_version: i32 = 0;
        /// Whether a connection ends when the token of its user expires, by the clock and without any skew; looked at
        /// once a second. A newer token of the same user, by a refresh, a poll or a stateful reconnect, puts that off. Its
        /// client may come back, with a new one. Off by default. (C#:
        /// `HttpConnectionDispatcherOptions.CloseOnAuthenticationExpiration`)
        close_on_authentication_expiration: bool = false;
        /// Whether clients may bring newer credentials of their user while their connection goes on: by `POST` to
        /// `{path}/refresh`, or with a poll or a stateful reconnect. The negotiation then tells how long a token is good,
        /// and hubs hear of each refresh by [`on_authentication_refreshed`](crate::Hub::on_authentication_refreshed).
        /// Clients of .NET 11 do all that by themselves, `@microsoft/signalr` with the module
        /// `js/authentication-refresh.js`. Off by default. (C#: `EnableAuthenticationRefresh`)
        enable_authentication_refresh: bool = false;
        /// The longest that credentials are relied on, from when they were shown, whatever they say of themselves;
        /// `None`, the default, takes their word. Clients are told where
        /// [`enable_authentication_refresh`](Self::enable_authentication_refresh) is on, and only there it counts;
        /// connections end by it with [`close_on_authentication_expiration`](Self::close_on_authentication_expiration).
        /// (C#: `MaximumAuthenticationExpiration`)
        maximum_authentication_expiration: Option<Duration> = None;
        /// How many bytes may wait for a client before who sends to it must wait as well; 0 is no limit. 64 KiB by
        /// default. (C#: `HttpConnectionDispatcherOptions.TransportMaxBufferSize`)
        transport_max_buffer_size: usize = 64 * 1024;
        /// How many bytes of a client may be unread before the client has to wait: its WebSocket is not read then, its
        /// requests are not answered. 0 is no limit. 64 KiB by default.
        /// (C#: `HttpConnectionDispatcherOptions.ApplicationMaxBufferSize`)
        application_max_buffer_size: usize = 64 * 1024;
        /// How long a client may take to read what is being written to it; then it is cut. Looked at once a second. 10
        /// seconds by default. (C#: `HttpConnectionDispatcherOptions.TransportSendTimeout`)
        transport_send_timeout: Duration = DEFAULT_SEND_TIMEOUT;
        /// How long a poll waits for messages; then it is answered without any, and the client polls again. 90 seconds
        /// by default: clients wait 100. (C#: `LongPollingOptions.PollTimeout`)
        long_polling_poll_timeout: Duration = Duration::from_secs(90);
        /// How long a WebSocket that the server closes waits for the client's own Close frame. 5 seconds by default.
        /// (C#: `WebSocketOptions.CloseTimeout`)
        web_socket_close_timeout: Duration = Duration::from_secs(5);
        /// Whether polls, sends and sockets of another user than the one who negotiated are refused. They are by
        /// default.
        identity_binding: IdentityBinding = IdentityBinding::default();
    }
    // Of endpoints, too: off by default, and made of what is given.
    converted {
        /// Which pages of other origins may read what is answered. None by default. Set for all hubs, it holds for
        /// requests to no hub, too. (C#: `UseCors`; for one hub `RequireCors`)
        cors(policy: Cors): Cors = policy;
        /// The origins whose pages may open WebSockets, such as `https://app.test`; `*` is all. By default all: browsers
        /// ask for no CORS here, so a page anywhere may connect, and cookies come along. Requests from other pages get
        /// 403, those without an `Origin`, which come from no browser, pass. (C#: `WebSocketOptions.AllowedOrigins`)
        allowed_origins(origins: impl IntoIterator<Item = impl Into<String>>): AllowedOrigins =
            AllowedOrigins::new(origins);
        /// Chooses the sub-protocol of a WebSocket from those that its client asks for, which may be none; it need not
        /// be one of them, but browsers then close the socket. None by default: clients of SignalR ask for none.
        /// (C#: `WebSocketOptions.SubProtocolSelector`)
        ///
        /// ```
        /// # let builder = signalr::SignalR::builder();
        /// builder.web_socket_sub_protocol(|asked| asked.contains(&"metrics").then(|| "metrics".to_owned()));
        /// ```
        web_socket_sub_protocol(select: impl Fn(&[&str]) -> Option<String> + Send + Sync + 'static):
            SubProtocolSelector = SubProtocolSelector::new(select);
        /// Sends clients elsewhere, as the front of a service does: where this answers, the client negotiates there, with
        /// the token that it is given, and no connection is made here. Asked after who the user is and whether they may.
        /// Nobody is sent away by default. (C#: `NegotiationResponse.Url`)
        ///
        /// ```
        /// use signalr::hosting::Redirect;
        ///
        /// # let builder = signalr::SignalR::builder();
        /// builder.redirect_negotiate(|request, _user| {
        ///     let tenant = request.query("tenant")?;
        ///     (tenant == "north").then(|| Redirect::to("https://north.app.test/chat"))
        /// });
        /// ```
        redirect_negotiate(decide: impl Fn(&RequestInfo, &User) -> Option<Redirect> + Send + Sync + 'static):
            Redirector = Redirector::new(decide);
    }
}

impl Settings {
    /// The options of a hub, or what is wrong with them.
    pub(super) fn hub_options(&self, server: &Self, path: &str) -> Result<HubOptions, BuildError> {
        let resolved = self.resolve(server);
        if resolved.maximum_parallel_invocations_per_client == 0 {
            return Err(must_not_be_zero(path, "maximum_parallel_invocations_per_client"));
        }
        if resolved.stream_buffer_capacity == 0 {
            return Err(must_not_be_zero(path, "stream_buffer_capacity"));
        }
        Ok(HubOptions {
            enable_detailed_errors: resolved.enable_detailed_errors,
            maximum_receive_message_size: resolved.maximum_receive_message_size,
            maximum_parallel_invocations_per_client: resolved.maximum_parallel_invocations_per_client,
            handshake_timeout: resolved.handshake_timeout,
            keep_alive_interval: resolved.keep_alive_interval,
            client_timeout_interval: resolved.client_timeout_interval,
            supported_protocols: resolved.supported_protocols,
            naming: resolved.naming,
            stateful_reconnect_buffer_size: resolved.stateful_reconnect_buffer_size,
            stream_buffer_capacity: resolved.stream_buffer_capacity,
            max_streams: resolved.max_streams,
        })
    }

    /// The options of a path, or what is wrong with them.
    pub(super) fn endpoint_options(
        &self,
        server: &Self,
        path: &str,
    ) -> Result<(TransportOptions, Option<CorsPolicy>), BuildError> {
        let resolved = self.resolve(server);
        if resolved.transport_send_timeout.is_zero() {
            return Err(must_not_be_zero(path, "transport_send_timeout"));
        }
        if resolved.maximum_authentication_expiration.is_some_and(|maximum| maximum.is_zero()) {
            return Err(must_not_be_zero(path, "maximum_authentication_expiration"));
        }
        let allowed_origins = resolved.allowed_origins.unwrap_or_default();
        if let Some(origin) = allowed_origins.first_invalid() {
            return Err(BuildError::InvalidOrigin(origin.to_owned()));
        }
        let cors = resolved.cors.map(Cors::into_policy).transpose()?;
        let transport = TransportOptions {
            transports: resolved.transports,
            minimum_version: resolved.minimum_protocol_version,
            allow_stateful_reconnects: resolved.allow_stateful_reconnects,
            limits: Limits {
                outgoing: resolved.transport_max_buffer_size,
                incoming: resolved.application_max_buffer_size,
                send_timeout: resolved.transport_send_timeout,
                ends_with_token: resolved.close_on_authentication_expiration,
                refreshes: resolved.enable_authentication_refresh,
            },
            poll_timeout: resolved.long_polling_poll_timeout,
            close_timeout: resolved.web_socket_close_timeout,
            identity_binding: resolved.identity_binding,
            allowed_origins,
            sub_protocol: resolved.web_socket_sub_protocol,
            redirector: resolved.redirect_negotiate,
            refresh: RefreshOptions {
                is_enabled: resolved.enable_authentication_refresh,
                check: self.refresh_check.clone().or_else(|| server.refresh_check.clone()),
                maximum: resolved.maximum_authentication_expiration,
            },
        };
        Ok((transport, cors))
    }

    /// The policy for all requests that no endpoint has another one for.
    pub(super) fn cors(&self) -> Result<Option<CorsPolicy>, BuildError> {
        self.cors.clone().map(Cors::into_policy).transpose()
    }
}

fn must_not_be_zero(path: &str, option: &'static str) -> BuildError {
    BuildError::Zero { path: path.to_owned(), option }
}
