//! The audit: keeps the latest denied actions and sends them to the administrators.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use signalr::HubContext;
use signalr::auth::{Policy, User};
use tokio::sync::mpsc;

use crate::hub::ClinicalDashboard;
use crate::lock;

/// The group of the administrators' connections.
pub(crate) const ADMINISTRATORS: &str = "administrators";

/// Number of denials that are kept.
const MAX_DENIALS: usize = 30;

/// Number of denials that can wait to be sent. Further denials are kept, but not sent.
const MAX_PENDING_DENIALS: usize = 64;

/// The latest denied actions.
#[derive(Debug)]
pub(crate) struct Audit {
    denials: Mutex<VecDeque<Denial>>,
    sender: mpsc::Sender<Denial>,
}

/// A denied action of a user.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Denial {
    /// Unix time in milliseconds.
    time_ms: u128,
    user: String,
    role: String,
    action: String,
    reason: &'static str,
}

impl Audit {
    /// Returns the audit, and the receiver of its new denials.
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Denial>) {
        let (sender, receiver) = mpsc::channel(MAX_PENDING_DENIALS);
        (Arc::new(Self { denials: Mutex::default(), sender }), receiver)
    }

    /// Returns the kept denials, oldest first.
    pub(crate) fn denials(&self) -> Vec<Denial> {
        lock(&self.denials).iter().cloned().collect()
    }

    /// Records that an action of `user` was denied.
    pub(crate) fn record(&self, user: &User, action: impl Into<String>, reason: &'static str) {
        let denial = Denial {
            time_ms: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis(),
            user: user.name().unwrap_or("unknown user").to_owned(),
            role: user.roles().next().unwrap_or("no role").to_owned(),
            action: action.into(),
            reason,
        };
        tracing::warn!(user = user.id(), action = denial.action, reason, "action denied");
        {
            let mut denials = lock(&self.denials);
            if denials.len() == MAX_DENIALS {
                denials.pop_front();
            }
            denials.push_back(denial.clone());
        }
        if self.sender.try_send(denial).is_err() {
            tracing::debug!("queue of denials is full; administrators receive this one when they connect");
        }
    }

    /// Returns a policy that decides as `policy` and records each denial.
    pub(crate) fn record_denials(
        self: &Arc<Self>,
        action: &'static str,
        reason: &'static str,
        policy: Policy,
    ) -> Policy {
        let audit = Arc::clone(self);
        Policy::require_assertion(move |user| {
            let allowed = policy.allows(user);
            if !allowed {
                audit.record(user, action, reason);
            }
            allowed
        })
    }
}

/// Sends new denials to the administrators until the audit is dropped.
pub(crate) async fn publish(mut denials: mpsc::Receiver<Denial>, dashboards: HubContext<ClinicalDashboard>) {
    while let Some(denial) = denials.recv().await {
        if let Err(error) = dashboards.clients().group(ADMINISTRATORS).action_denied(&denial).await {
            tracing::warn!(%error, "failed to send a denial");
        }
    }
}
