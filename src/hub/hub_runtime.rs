//! What a hub is at run time: frozen when the server is built.

use std::sync::Arc;

use super::Hub;
use super::any_caller::AnyCaller;
use super::caller::Caller;
use super::context::HubShared;
use super::error::{DisconnectReason, HubResult};
use super::filter::{FilteredCall, Filters};
use super::invocation_context::InvocationContext;
use super::methods::{CallOutput, Method, MethodInvocation, MethodTable, Reply};
use crate::auth::{AuthorizationRules, UserId};
use crate::future::BoxFuture;
use crate::options::HubOptions;
use crate::protocol::RawArguments;
use crate::tasks::Tasks;

/// A hub at one path: its value, its methods, and the rules, filters and options that hold there.
pub(crate) struct HubRuntime<H> {
    pub(crate) hub: Arc<H>,
    pub(crate) methods: MethodTable<H, AuthorizationRules>,
    /// The server's around those of the path.
    pub(crate) filters: Arc<Filters>,
    pub(crate) options: HubOptions,
    pub(crate) shared: Arc<HubShared>,
    pub(crate) user_id: UserId,
    /// Runs calls that outlive their connection's turn.
    pub(crate) tasks: Tasks,
}

impl<H: Hub> HubRuntime<H> {
    /// A call on its way; described only where a filter or a policy looks at it.
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

    /// The hub hears of newer credentials; it answers nothing.
    pub(crate) fn on_authentication_refreshed(&self, caller: Caller<H>) -> BoxFuture<'static, HubResult<Reply>> {
        let hub = Arc::clone(&self.hub);
        Box::pin(async move { hub.on_authentication_refreshed(&caller).await.map(|()| Reply(CallOutput::Nothing)) })
    }

    /// The hub's own with its filters around it.
    pub(crate) fn on_connected<'a>(&'a self, caller: &'a Caller<H>) -> BoxFuture<'a, HubResult> {
        // It may panic before it is a future.
        let hub = Box::pin(async move { self.hub.on_connected(caller).await });
        if self.filters.is_empty() {
            return hub;
        }
        Box::pin(async move {
            let caller = AnyCaller::new(caller.clone());
            self.filters.on_connected(&caller, hub).run().await
        })
    }

    /// The same.
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
