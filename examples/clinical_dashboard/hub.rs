//! The hub, and the methods of its clients.

use std::sync::Arc;

use signalr::{Caller, DisconnectReason, HubError, HubResult, hub, hub_client};
use uuid::Uuid;

use crate::audit::{ADMINISTRATORS, Audit, Denial};
use crate::connection_killer::ConnectionKiller;
use crate::simulation::WardVitals;
use crate::wards::{self, Order, WardSheet, Wards};

/// Maximum length of the name of a drug, in characters.
const MAX_DRUG_NAME_CHARS: usize = 80;

/// Methods of a dashboard in the browser that the server can invoke.
#[hub_client]
pub(crate) trait DashboardClient {
    /// Sent after a subscription to a ward: the ward with its patients.
    fn ward_opened(&self, ward: &WardSheet);
    /// Sent every second: vital signs of a ward that the dashboard watches.
    fn vitals_updated(&self, vitals: &WardVitals);
    /// Sent when a doctor has ordered a drug for a patient on a ward that the dashboard watches.
    fn medication_ordered(&self, order: &Order);
    /// Sent to administrators when they connect: the denied actions so far.
    fn audit_opened(&self, denials: &[Denial]);
    /// Sent to administrators when an action is denied.
    fn action_denied(&self, denial: &Denial);
}

/// The hub. All connections share one instance.
pub(crate) struct ClinicalDashboard {
    pub(crate) wards: Arc<Wards>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) killer: Arc<ConnectionKiller>,
}

#[hub(client = DashboardClient)]
#[authorize]
impl ClinicalDashboard {
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        let user = caller.user();
        let user_id = user.id().unwrap_or("anonymous");
        let role = user.roles().next().unwrap_or("none");
        tracing::info!(user = user_id, role, connection = %caller.connection_id(), "connected");

        // `#[authorize]` has rejected unauthenticated clients already; this is a second check.
        if !user.is_authenticated() {
            tracing::warn!(connection = %caller.connection_id(), "unauthenticated connection aborted");
            caller.abort();
            return Ok(());
        }
        if let Some(peer) = caller.request().peer_addr() {
            self.killer.add_connection(caller.connection_id(), user_id, peer);
        }
        if user.is_in_role("Admin") {
            caller.join(ADMINISTRATORS).await?;
            caller.client().audit_opened(&self.audit.denials()).await?;
        }
        Ok(())
    }

    async fn on_disconnected(&self, caller: &Caller<Self>, reason: Option<&DisconnectReason>) -> HubResult {
        let user_id = caller.user_id().unwrap_or("anonymous");
        let reason = reason.map(tracing::field::debug);
        tracing::info!(user = user_id, connection = %caller.connection_id(), reason, "disconnected");
        self.killer.remove_connection(caller.connection_id());
        Ok(())
    }

    /// Subscribes the caller to the updates of a ward. Requires the caller's department to be that
    /// ward, or the role `Admin`.
    #[authorize(policy = "ClinicalStaff")]
    async fn subscribe_to_ward(&self, caller: &Caller<Self>, ward_id: String) -> HubResult {
        let user = caller.user();
        if user.claim("department") != Some(&ward_id) && !user.is_in_role("Admin") {
            let reason = "Access to this ward requires matching department assignment.";
            self.audit.record(user, format!("Watch {ward_id}"), reason);
            return Err(HubError::new(reason));
        }
        let Some(ward) = self.wards.find(&ward_id) else {
            return Err(HubError::new("There is no such ward."));
        };
        caller.join(wards::group(ward.id())).await?;
        caller.client().ward_opened(&ward.sheet()).await?;
        Ok(())
    }

    async fn leave_ward(&self, caller: &Caller<Self>, ward_id: String) -> HubResult {
        caller.leave(wards::group(&ward_id)).await?;
        Ok(())
    }

    /// Orders a drug for a patient. Requires the role `Doctor`.
    #[authorize(policy = "DoctorsOnly")]
    async fn order_medication(&self, caller: &Caller<Self>, patient_id: Uuid, drug_name: String) -> HubResult<Order> {
        let drug = drug_name.trim();
        if drug.is_empty() || drug.chars().count() > MAX_DRUG_NAME_CHARS {
            return Err(HubError::new(format!("The name of a drug has 1 to {MAX_DRUG_NAME_CHARS} characters.")));
        }
        let doctor = caller.user().name().unwrap_or("a doctor");
        let Some(order) = self.wards.order(patient_id, drug, doctor) else {
            return Err(HubError::new("There is no such patient."));
        };
        caller.clients().group(wards::group(order.ward)).medication_ordered(&order).await?;
        Ok(order)
    }
}
