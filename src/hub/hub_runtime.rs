//! A mapped hub at run time, immutable after the server is built.

use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::Hub;
use super::any_caller::AnyCaller;
use super::caller::Caller;
use super::context::HubShared;
use super::error::{DisconnectReason, HubResult};
use super::filter::{FilteredCall, Filters};
use super::invocation_context::InvocationContext;
use super::methods::{CallOutput, Method, MethodInvocation, MethodTable, Reply};
use crate::auth::{AuthorizationRules, UserIdProvider};
use crate::options::HubOptions;
use crate::protocol::RawArguments;
use crate::tasks::Tasks;

/// A hub at one path: its value and methods, with the rules, filters and options that apply there.
pub(crate) struct HubRuntime<H> {
    pub(crate) hub: Arc<H>,
    pub(crate) methods: MethodTable<H, AuthorizationRules>,
    /// Filters of the server, with those of the path inside of them.
    pub(crate) filters: Arc<Filters>,
    pub(crate) options: HubOptions,
    pub(crate) shared: Arc<HubShared>,
    pub(crate) user_id: UserIdProvider,
    /// Runs calls outside of the connection task.
    pub(crate) tasks: Tasks,
}

impl<H: Hub> HubRuntime<H> {
    /// Creates an invocation. Its context is created only if a filter or a policy needs it.
    pub(crate) fn invocation(
        &self,
        method: &Method<H>,
        rules: &AuthorizationRules,
        caller: Caller<H>,
        arguments: &RawArguments<'_>,
    ) -> MethodInvocation<H> {
        let needs_context = !self.filters.is_empty() || rules.look_at_calls();
        let filtered = needs_context.then(|| {
            let call = InvocationContext::new(caller.clone(), method, self.methods.attributes(), arguments);
            Box::new(FilteredCall { call: Arc::new(call), filters: Arc::clone(&self.filters) })
        });
        MethodInvocation { caller, filtered }
    }

    /// Runs the callback after an authentication refresh. It produces no completion.
    pub(crate) fn on_authentication_refreshed(&self, caller: Caller<H>) -> BoxFuture<'static, HubResult<Reply>> {
        let hub = Arc::clone(&self.hub);
        Box::pin(async move { hub.on_authentication_refreshed(&caller).await.map(|()| Reply(CallOutput::Nothing)) })
    }

    /// Runs `on_connected` of the hub with its filters around it.
    pub(crate) fn on_connected<'a>(&'a self, caller: &'a Caller<H>) -> BoxFuture<'a, HubResult> {
        // The call itself is inside the async block, because it can panic before it returns a
        // future.
        let hub = Box::pin(async move { self.hub.on_connected(caller).await });
        if self.filters.is_empty() {
            return hub;
        }
        Box::pin(async move {
            let caller = AnyCaller::new(caller.clone());
            self.filters.on_connected(&caller, hub).run().await
        })
    }

    /// Runs `on_disconnected` of the hub with its filters around it.
    pub(crate) fn on_disconnected<'a>(
        &'a self,
        caller: &'a Caller<H>,
        reason: Option<&'a DisconnectReason>,
    ) -> BoxFuture<'a, HubResult> {
        let hub = Box::pin(async move { self.hub.on_disconnected(caller, reason).await });
        if self.filters.is_empty() {
            return hub;
        }
        Box::pin(async move {
            let caller = AnyCaller::new(caller.clone());
            self.filters.on_disconnected(&caller, reason, hub).run().await
        })
    }
}
