//! Options that both a server and its endpoints can set, with the names and defaults of ASP.NET
//! Core.
//!
//! The macro `settings!` generates the methods of [`Builder`] and [`EndpointBuilder`], the storage
//! and the defaults. `hub_options` and `endpoint_options` validate the values and convert them to
//! the structs of the modules that use them. Options of the server only are in `builder.rs` and
//! `negotiate_limit.rs`; `on_authentication_refresh` is in `refresh.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::builder::Builder;
use super::cors::{Cors, CorsPolicy};
use super::endpoint::EndpointBuilder;
use super::error::BuildError;
use crate::auth::{IdentityBinding, User};
use crate::connection_info::{RequestInfo, Transports};
use crate::connections::{
    AllowedOrigins, Limits, Redirect, Redirector, RefreshCheck, RefreshOptions, ServerUrl, SubProtocolSelector,
    TransportOptions,
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
        converted {
            $($(#[$converted_doc:meta])* $converted:ident($argument:ident: $argument_type:ty):
                $converted_type:ty = $convert:expr;)*
        }
    ) => {
        /// Options that were set on a server or on one of its endpoints.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Settings {
            $($name: Option<$type>,)*
            $($hub_name: Option<$hub_type>,)*
            $($converted: Option<$converted_type>,)*
            /// Filters of an endpoint run inside those of the server and do not replace them.
            pub(super) filters: Filters,
            pub(super) refresh_check: Option<RefreshCheck>,
        }

        impl Settings {
            /// Options of an endpoint: its own, else those of the server, else the defaults.
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

        /// Options of all endpoints. An option that an endpoint sets itself takes precedence.
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

        /// Options of this path, for hubs and connection handlers.
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
        /// Sends the text of every error to clients, not only the texts of exposed errors. Default:
        /// `false`, because such texts can reveal internals.
        /// (C#: `HubOptions.EnableDetailedErrors`)
        enable_detailed_errors: bool = false;
        /// Maximum size of a message from a client, in bytes including its framing. `None` removes
        /// the limit and allows any client to exhaust the memory. Default: 32 KiB.
        /// (C#: `HubOptions.MaximumReceiveMessageSize`)
        maximum_receive_message_size: Option<usize> = Some(32 * 1024);
        /// Maximum number of method calls of one connection that run concurrently. Must not be
        /// zero. Default: 1, so that calls complete in the order in which they arrived.
        /// (C#: `HubOptions.MaximumParallelInvocationsPerClient`)
        maximum_parallel_invocations_per_client: usize = 1;
        /// Maximum time for the handshake of a client. Default: 15 seconds.
        /// (C#: `HubOptions.HandshakeTimeout`)
        handshake_timeout: Duration = Duration::from_secs(15);
        /// Keep-alive interval: time between pings to an otherwise idle client, which keep the
        /// connection open at the client and at proxies. Checked once a second. Default: 15
        /// seconds, half of the timeout of clients. (C#: `HubOptions.KeepAliveInterval`)
        keep_alive_interval: Duration = Duration::from_secs(15);
        /// Client timeout: longest time without a message from a client that has sent a ping
        /// before. Checked once a second. Default: 30 seconds, twice the ping interval of clients.
        /// (C#: `HubOptions.ClientTimeoutInterval`)
        client_timeout_interval: Duration = Duration::from_secs(30);
        /// Hub protocols that clients may select in the handshake. Default: all.
        /// (C#: `HubOptions.SupportedProtocols`)
        supported_protocols: Vec<HubProtocolKind> = HubProtocolKind::ALL.to_vec();
        /// Naming of struct fields and enum variants on the wire. Default: the names of serde.
        /// [`Naming::DotNet`] uses the names of ASP.NET Core.
        naming: Naming = Naming::default();
        /// Capacity of the message buffer for stateful reconnect, in bytes. Once the unacknowledged
        /// messages of a client exceed it, senders wait for an acknowledgement. Default: 100,000.
        /// (C#: `HubOptions.StatefulReconnectBufferSize`)
        stateful_reconnect_buffer_size: usize = 100_000;
        /// Maximum number of items of an upload that wait for the hub method to read them. While
        /// the buffer is full, nothing more is read from the client. Must not be zero. Default: 10.
        /// (C#: `HubOptions.StreamBufferCapacity`)
        stream_buffer_capacity: usize = 10;
        /// Maximum number of open streams of one connection, server streams and uploads together.
        /// Further streams are rejected with an error. Default: 1,000. (C#: no limit)
        max_streams: usize = 1000;
        /// Enables stateful reconnect for clients that request it: a client that loses its
        /// WebSocket resumes its connection on a new one, without losing messages and without
        /// notice to the hub. Messages are buffered until the client acknowledges them. Default:
        /// `false`. (C#: `HttpConnectionDispatcherOptions.AllowStatefulReconnects`)
        allow_stateful_reconnects: bool = false;
    }
    endpoints {
        /// Transports that the server offers. Default: all.
        /// (C#: `HttpConnectionDispatcherOptions.Transports`)
        transports: Transports = Transports::all();
        /// Lowest accepted version of the negotiate protocol: 0 or 1. Version 1 rejects clients of
        /// version 0, for which the public connection id is also the secret connection token.
        /// Default: 0. (C#: `HttpConnectionDispatcherOptions.MinimumProtocolVersion`)
        minimum_protocol_version: i32 = 0;
        /// Closes a connection when the token of its user expires, without any clock skew. Checked
        /// once a second. A newer token of the same user, from an authentication refresh, a poll or
        /// a stateful reconnect, extends the connection. The client may connect again with a new
        /// token. Default: `false`.
        /// (C#: `HttpConnectionDispatcherOptions.CloseOnAuthenticationExpiration`)
        close_on_authentication_expiration: bool = false;
        /// Enables authentication refresh: a client replaces the credentials of its open connection
        /// with newer ones of the same user, by `POST` to `{path}/refresh`, or with a poll or a
        /// stateful reconnect. The negotiate response then contains the lifetime of the token, and
        /// [`on_authentication_refreshed`](crate::Hub::on_authentication_refreshed) is called after
        /// each refresh. Clients of .NET 11 support this; `@microsoft/signalr` needs the module
        /// `js/authentication-refresh.js`. Default: `false`. (C#: `EnableAuthenticationRefresh`)
        enable_authentication_refresh: bool = false;
        /// Maximum lifetime of credentials, counted from the request that carried them. `None`
        /// applies only the expiration in the credentials; zero is an error. Takes effect, and is
        /// sent to clients, only with
        /// [`enable_authentication_refresh`](Self::enable_authentication_refresh); closes
        /// connections only with
        /// [`close_on_authentication_expiration`](Self::close_on_authentication_expiration).
        /// Default: `None`. (C#: `MaximumAuthenticationExpiration`)
        maximum_authentication_expiration: Option<Duration> = None;
        /// Number of bytes in the outbound queue of a connection above which senders wait for
        /// capacity; 0 removes the limit. Default: 64 KiB.
        /// (C#: `HttpConnectionDispatcherOptions.TransportMaxBufferSize`)
        transport_max_buffer_size: usize = 64 * 1024;
        /// Number of received and unprocessed bytes of a connection above which backpressure
        /// applies to the client: its WebSocket is not read, and its requests are not answered. 0
        /// removes the limit. Default: 64 KiB.
        /// (C#: `HttpConnectionDispatcherOptions.ApplicationMaxBufferSize`)
        application_max_buffer_size: usize = 64 * 1024;
        /// Maximum time for a write to a client; after it the connection is aborted. Checked once a
        /// second. Must not be zero. Default: 10 seconds.
        /// (C#: `HttpConnectionDispatcherOptions.TransportSendTimeout`)
        transport_send_timeout: Duration = DEFAULT_SEND_TIMEOUT;
        /// Maximum time a long-polling request waits for messages. After it the response is empty,
        /// and the client polls again. Default: 90 seconds; the timeout of clients is 100 seconds.
        /// (C#: `LongPollingOptions.PollTimeout`)
        long_polling_poll_timeout: Duration = Duration::from_secs(90);
        /// Maximum time to wait for the close frame of the client after the server closed a
        /// WebSocket. Default: 5 seconds. (C#: `WebSocketOptions.CloseTimeout`)
        web_socket_close_timeout: Duration = Duration::from_secs(5);
        /// Determines whether polls, posts and WebSockets are rejected if their user differs from
        /// the user that negotiated. Default: they are rejected. (ASP.NET Core 10 logs a warning.)
        identity_binding: IdentityBinding = IdentityBinding::default();
    }
    // Options of endpoints that are off by default, and whose values are converted from the
    // argument.
    converted {
        /// CORS policy: the cross-origin pages that may read responses. If set on the server, it
        /// also applies to requests to unmapped paths. Default: none. (C#: `UseCors`; for one hub
        /// `RequireCors`)
        cors(policy: Cors): Cors = policy;
        /// Origins whose pages may open WebSockets, such as `https://app.test`; `*` allows all.
        /// WebSockets from pages of other origins get 403. Requests without an `Origin`, which do
        /// not come from a browser, are allowed. Default: all origins. Browsers do not apply CORS
        /// to WebSockets, so that any page can connect, with the cookies of its user.
        /// (C#: `WebSocketOptions.AllowedOrigins`)
        allowed_origins(origins: impl IntoIterator<Item = impl Into<String>>): AllowedOrigins =
            AllowedOrigins::new(origins);
        /// Selects the sub-protocol of a WebSocket from those that its client requests; the list
        /// may be empty. The function may return another sub-protocol, but browsers then close the
        /// socket. Default: none, since clients of SignalR request none.
        /// (C#: `WebSocketOptions.SubProtocolSelector`)
        ///
        /// ```
        /// # let builder = signalr::SignalR::builder();
        /// builder.web_socket_sub_protocol(|requested| requested.contains(&"metrics").then(|| "metrics".to_owned()));
        /// ```
        web_socket_sub_protocol(select: impl Fn(&[&str]) -> Option<String> + Send + Sync + 'static):
            SubProtocolSelector = SubProtocolSelector::new(select);
        /// Redirects clients to another server. If the function returns a [`Redirect`], the client
        /// negotiates again at the URL and with the access token of the redirect, and this server
        /// creates no connection. Called after authentication and authorization. Default: no
        /// redirects. (C#: `NegotiationResponse.Url`)
        ///
        /// [`Redirect`]: crate::hosting::Redirect
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
    /// Resolves and validates the options of a hub.
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

    /// Resolves and validates the options of a path.
    pub(super) fn endpoint_options(
        &self,
        server: &Self,
        path: &str,
        server_url: Option<&ServerUrl>,
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
                outgoing_bytes: resolved.transport_max_buffer_size,
                incoming_bytes: resolved.application_max_buffer_size,
                send_timeout: resolved.transport_send_timeout,
                closes_on_expiration: resolved.close_on_authentication_expiration,
                updates_user: resolved.enable_authentication_refresh,
            },
            poll_timeout: resolved.long_polling_poll_timeout,
            close_timeout: resolved.web_socket_close_timeout,
            identity_binding: resolved.identity_binding,
            allowed_origins,
            sub_protocol: resolved.web_socket_sub_protocol,
            redirector: resolved.redirect_negotiate,
            url: server_url.map(|url| Arc::new(url.endpoint(path))),
            refresh: RefreshOptions {
                is_enabled: resolved.enable_authentication_refresh,
                check: self.refresh_check.clone().or_else(|| server.refresh_check.clone()),
                max_lifetime: resolved.maximum_authentication_expiration,
            },
        };
        Ok((transport, cors))
    }

    /// CORS policy of requests to unmapped paths.
    pub(super) fn cors(&self) -> Result<Option<CorsPolicy>, BuildError> {
        self.cors.clone().map(Cors::into_policy).transpose()
    }
}

fn must_not_be_zero(path: &str, option: &'static str) -> BuildError {
    BuildError::Zero { path: path.to_owned(), option }
}
