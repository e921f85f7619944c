//! The hub, and what the dashboards offer to it.

use std::sync::Arc;

use signalr::{Caller, DisconnectReason, HubError, HubResult, hub, hub_client};
use uuid::Uuid;

use crate::audit::{ADMINISTRATORS, Audit, Refusal};
use crate::connection_killer::Cuts;
use crate::simulation::WardVitals;
use crate::wards::{self, Order, WardSheet, Wards};

/// The longest name of a drug that is taken.
const LONGEST_DRUG: usize = 80;

/// What a dashboard in the browser offers to the server.
#[hub_client]
pub(crate) trait DashboardClient {
    /// The ward that was subscribed to, with its patients.
    fn ward_opened(&self, ward: &WardSheet);
    /// New vital signs on a ward that the dashboard watches.
    fn vitals_updated(&self, vitals: &WardVitals);
    /// A doctor has ordered a drug for a patient on a ward that the dashboard watches.
    fn medication_ordered(&self, order: &Order);
    /// For administrators: who was refused what so far.
    fn audit_opened(&self, refusals: &[Refusal]);
    /// For administrators: somebody was just refused something.
    fn refused(&self, refusal: &Refusal);
}

/// There is one value of it, shared by all connections; what it needs are its fields.
pub(crate) struct ClinicalDashboard {
    pub(crate) wards: Arc<Wards>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) cuts: Arc<Cuts>,
}

#[hub(client = DashboardClient)]
#[authorize]
impl ClinicalDashboard {
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        let user = caller.user();
        let user_id = user.id().unwrap_or("anonymous");
        let role = user.roles().next().unwrap_or("none");
        tracing::info!(user = user_id, role, connection = %caller.connection_id(), "connected");

        // Nobody gets here without `#[authorize]` on the block; the hub does not rely on it.
        if !user.is_authenticated() {
            tracing::warn!(connection = %caller.connection_id(), "an unauthenticated connection");
            caller.abort();
            return Ok(());
        }
        if let Some(peer) = caller.request().peer_addr() {
            self.cuts.connected(caller.connection_id(), user_id, peer);
        }
        if user.is_in_role("Admin") {
            caller.join(ADMINISTRATORS).await?;
            caller.client().audit_opened(&self.audit.refusals()).await?;
        }
        Ok(())
    }

    async fn on_disconnected(&self, caller: &Caller<Self>, reason: Option<&DisconnectReason>) -> HubResult {
        let user_id = caller.user_id().unwrap_or("anonymous");
        let reason = reason.map(tracing::field::debug);
        tracing::info!(user = user_id, connection = %caller.connection_id(), reason, "disconnected");
        self.cuts.disconnected(caller.connection_id());
        Ok(())
    }

    /// Any clinical staff can subscribe to the updates of the ward of their department.
    #[authorize(policy = "ClinicalStaff")]
    async fn subscribe_to_ward(&self, caller: &Caller<Self>, ward_id: String) -> HubResult {
        let user = caller.user();
        if user.claim("department") != Some(&ward_id) && !user.is_in_role("Admin") {
            let why = "Access to this ward requires matching department assignment.";
            self.audit.refused(user, format!("Watch {ward_id}"), why);
            return Err(HubError::new(why));
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

    /// Only doctors can call this method.
    #[authorize(policy = "DoctorsOnly")]
    async fn order_medication(&self, caller: &Caller<Self>, patient_id: Uuid, drug_name: String) -> HubResult<Order> {
        let drug = drug_name.trim();
        if drug.is_empty() || drug.chars().count() > LONGEST_DRUG {
            return Err(HubError::new(format!("A drug has a name of at most {LONGEST_DRUG} characters.")));
        }
        let doctor = caller.user().name().unwrap_or("a doctor");
        let Some(order) = self.wards.order(patient_id, drug, doctor) else {
            return Err(HubError::new("There is no such patient."));
        };
        caller.clients().group(wards::group(order.ward)).medication_ordered(&order).await?;
        Ok(order)
    }
}
