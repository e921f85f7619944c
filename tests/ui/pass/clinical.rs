//! The whole of it: a generic hub with a contract, items, rules, hooks and documentation.
#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations
)]

use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use signalr::{Caller, DisconnectReason, Expose, Hub, HubError, HubResult, hub, hub_client};

/// Vital signs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Vitals {
    /// Beats a minute.
    pub heart_rate: u16,
}

/// Where patients lie.
pub trait Wards: Send + Sync + 'static {
    /// The ward of a patient.
    fn ward_of(&self, patient: u32) -> impl Future<Output = Result<String, std::num::ParseIntError>> + Send;
}

/// Methods of a dashboard in the browser.
#[hub_client]
pub trait DashboardClient {
    /// New vital signs on a ward the dashboard watches.
    fn vitals_updated(&self, vitals: &Vitals);
    /// A text to be seen for a while.
    #[hub(name = "Toast")]
    fn show_toast(&self, text: &str, seconds: u32);
}

/// State of each dashboard.
#[derive(Debug, Default)]
pub struct Session {
    calls: AtomicU32,
}

/// The hub.
#[derive(Debug)]
pub struct ClinicalDashboard<R> {
    wards: R,
}

#[hub(client = DashboardClient, items = Session)]
#[authorize]
impl<R: Wards> ClinicalDashboard<R> {
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        caller.client().vitals_updated(&Vitals { heart_rate: 60 }).await?;
        Ok(())
    }

    async fn on_disconnected(&self, caller: &Caller<Self>, reason: Option<&DisconnectReason>) -> HubResult {
        caller.others().send("Left", (reason.is_some(),)).await?;
        Ok(())
    }

    /// Any clinical staff can subscribe to ward updates.
    #[authorize(policy = "ClinicalStaff")]
    async fn subscribe_to_ward(&self, caller: &Caller<Self>, ward_id: String) -> HubResult {
        if ward_id.is_empty() {
            return Err(HubError::new("Which ward?"));
        }
        caller.join(format!("ward:{ward_id}")).await?;
        Ok(())
    }

    /// Only doctors can call this method.
    #[authorize(policy = "DoctorsOnly")]
    #[authorize(roles = "Doctor, Admin")]
    async fn order_medication(
        &self,
        patient: u32,
        caller: &Caller<ClinicalDashboard<R>>,
        drugs: Vec<String>,
    ) -> HubResult<String> {
        let ward = self.wards.ward_of(patient).await.expose()?;
        caller.client().show_toast(&drugs.join(", "), 3).await?;
        Ok(ward)
    }

    /// Every error type with `std::error::Error` is accepted.
    pub async fn ward_of(&self, patient: u32) -> Result<String, std::num::ParseIntError> {
        self.wards.ward_of(patient).await
    }

    fn count(&self, caller: &::signalr::Caller<Self>, by: u32) -> u32 {
        count(caller, by)
    }
}

fn count<R: Wards>(_: &Caller<ClinicalDashboard<R>>, by: u32) -> u32 {
    Session::default().calls.fetch_add(by, Ordering::Relaxed)
}

struct NoWards;

impl Wards for NoWards {
    async fn ward_of(&self, patient: u32) -> Result<String, std::num::ParseIntError> {
        "7".parse::<u32>().map(|ward| (ward + patient).to_string())
    }
}

fn main() {
    assert_eq!(ClinicalDashboard::<NoWards>::authorize().len(), 1);
    let _ = ClinicalDashboard { wards: NoWards };
}
