//! Hubs and methods with authorization.

use futures_util::stream::{self, Stream};
use signalr::dotnet::Guid;
use signalr::{Caller, HubError, HubResult, UploadStream, hub};

use super::common::{self, Items};
use super::streams::sum;

/// Requires an authenticated user for every method, and policies or roles for some.
pub(crate) struct AuthorizedHub;

#[hub(items = Items, include = common::methods)]
#[authorize]
impl AuthorizedHub {
    /// Called only on `/hubs/refreshing`, where authentication refresh is enabled.
    async fn on_authentication_refreshed(&self, caller: &Caller<Self>) -> HubResult {
        let extra: Vec<_> = caller.user().claims("extra").collect();
        caller.client().send("AuthenticationRefreshed", (extra,)).await?;
        Ok(())
    }

    #[authorize(policy = "DoctorsOnly")]
    fn order_medication(&self, _patient_id: Guid, drug_name: String) -> String {
        format!("{drug_name} ordered")
    }

    #[authorize(policy = "ClinicalStaff")]
    fn clinical_only(&self) -> &'static str {
        "clinical"
    }

    #[authorize(roles = "Admin,Doctor")]
    fn admin_or_doctor(&self) -> &'static str {
        "either"
    }

    #[authorize(roles = "Admin")]
    #[authorize(roles = "Doctor")]
    fn admin_and_doctor(&self) -> &'static str {
        "both"
    }

    #[authorize(policy = "DoctorsOnly")]
    fn doctors_stream(&self) -> impl Stream<Item = i32> {
        stream::iter([1])
    }

    #[authorize(policy = "DoctorsOnly")]
    async fn doctors_upload(&self, items: UploadStream<i32>) -> HubResult<i32> {
        sum(items).await
    }

    /// `[AllowAnonymous]` in C#, which has no effect on a method.
    fn anonymous(&self) -> &'static str {
        "anyone"
    }

    async fn subscribe_to_ward(&self, caller: &Caller<Self>, ward_id: String) -> HubResult {
        let user = caller.user();
        if user.claim("department") != Some(ward_id.as_str()) && !user.is_in_role("Admin") {
            return Err(HubError::new("Access to this ward requires matching department assignment."));
        }
        caller.join(format!("ward:{ward_id}")).await?;
        Ok(())
    }

    async fn notify_ward(&self, caller: &Caller<Self>, ward_id: String, text: String) -> HubResult {
        caller.clients().group(format!("ward:{ward_id}")).send("WardUpdate", (ward_id, text)).await?;
        Ok(())
    }
}

/// Requires no authorization, except for two methods.
pub(crate) struct MixedHub;

#[hub(items = Items, include = common::methods)]
impl MixedHub {
    #[authorize]
    fn members_only(&self) -> &'static str {
        "member"
    }

    #[authorize(policy = "DoctorsOnly")]
    fn doctors(&self) -> &'static str {
        "doctor"
    }
}

/// Mapped with a policy for its path.
pub(crate) struct PolicyHub;

#[hub(items = Items, include = common::methods)]
impl PolicyHub {}

pub(crate) struct ExpiringHub;

#[hub(items = Items, include = common::methods)]
#[authorize]
impl ExpiringHub {}
