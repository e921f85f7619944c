//! Who was refused what: kept for a while, and told to the administrators as it happens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use signalr::HubContext;
use signalr::auth::{Policy, User};
use tokio::sync::mpsc;

use crate::hub::ClinicalDashboard;
use crate::locked;

/// The group of the administrators' connections.
pub(crate) const ADMINISTRATORS: &str = "administrators";

/// How many refusals are kept.
const KEPT: usize = 30;

/// How many may wait to be told. More are kept, but not told.
const WAITING: usize = 64;

/// The refusals of late.
#[derive(Debug)]
pub(crate) struct Audit {
    refusals: Mutex<VecDeque<Refusal>>,
    news: mpsc::Sender<Refusal>,
}

/// Somebody was refused something.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refusal {
    /// Milliseconds since 1970.
    at: u128,
    who: String,
    role: String,
    what: String,
    why: &'static str,
}

impl Audit {
    /// The audit, and what it has to tell.
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Refusal>) {
        let (news, receiver) = mpsc::channel(WAITING);
        (Arc::new(Self { refusals: Mutex::default(), news }), receiver)
    }

    /// What is kept, the oldest first.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        locked(&self.refusals).iter().cloned().collect()
    }

    pub(crate) fn refused(&self, user: &User, what: impl Into<String>, why: &'static str) {
        let refusal = Refusal {
            at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis(),
            who: user.name().unwrap_or("somebody").to_owned(),
            role: user.roles().next().unwrap_or("no role").to_owned(),
            what: what.into(),
            why,
        };
        tracing::warn!(user = user.id(), what = refusal.what, why, "refused");
        {
            let mut refusals = locked(&self.refusals);
            if refusals.len() == KEPT {
                refusals.pop_front();
            }
            refusals.push_back(refusal.clone());
        }
        if self.news.try_send(refusal).is_err() {
            tracing::debug!("the administrators hear of a refusal when they connect");
        }
    }

    /// The same policy, but whom it refuses is written down.
    pub(crate) fn watch(self: &Arc<Self>, what: &'static str, why: &'static str, policy: Policy) -> Policy {
        let audit = Arc::clone(self);
        Policy::require_assertion(move |user| {
            let allowed = policy.allows(user);
            if !allowed {
                audit.refused(user, what, why);
            }
            allowed
        })
    }
}

/// Tells the administrators, until there is nothing more to tell.
pub(crate) async fn publish(mut refusals: mpsc::Receiver<Refusal>, dashboards: HubContext<ClinicalDashboard>) {
    while let Some(refusal) = refusals.recv().await {
        if let Err(error) = dashboards.clients().group(ADMINISTRATORS).refused(&refusal).await {
            tracing::warn!(%error, "a refusal could not be told");
        }
    }
}
