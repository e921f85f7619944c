//! Hubs and methods that not everybody may use.

use futures_util::stream::{self, Stream};
use signalr::dotnet::Guid;
use signalr::{Caller, HubError, HubResult, UploadStream, hub};

use super::common::{self, Items};
use super::streams::sum;

/// Every method needs an authenticated user, some of them more.
pub(crate) struct AuthorizedHub;

#[hub(items = Items, include = common::methods)]
#[authorize]
impl AuthorizedHub {
    /// Only at the path where clients may refresh their credentials.
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

    /// C# marks it `[AllowAnonymous]`, which has no effect on a method.
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

/// Open to all, but for two of its methods.
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

/// Its path wants a policy.
pub(crate) struct PolicyHub;

#[hub(items = Items, include = common::methods)]
impl PolicyHub {}

pub(crate) struct ExpiringHub;

#[hub(items = Items, include = common::methods)]
#[authorize]
impl ExpiringHub {}
