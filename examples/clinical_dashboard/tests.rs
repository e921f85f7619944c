//! Tests of authorization and updates, with clients of the hub.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use signalr::auth::{User, UserBuilder};
use signalr::testing::{ConnectError, TestHost, user};
use signalr::{HubProtocolKind, SignalR};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::audit::{self, Audit};
use crate::hub::ClinicalDashboard;
use crate::sessions::{SHORT_TOKEN_LIFETIME, Sessions};
use crate::wards::{self, Wards};

/// The server and its background tasks.
struct Server {
    host: TestHost<ClinicalDashboard>,
    _tasks: JoinSet<()>,
}

impl Server {
    fn start() -> Self {
        let wards = Arc::new(Wards::new().unwrap());
        let (audit, denials) = Audit::new();
        let mut tasks = JoinSet::new();
        let host = TestHost::from_builder(crate::server(SignalR::builder(), &wards, &audit, &Arc::default()));
        wards::publish(&wards, &host.context(), &mut tasks);
        tasks.spawn(audit::publish(denials, host.context()));
        Self { host, _tasks: tasks }
    }
}

fn nurse() -> UserBuilder {
    user("nurse-1").name("Amara Okafor").role("Nurse").claim("department", "ICU")
}

fn doctor() -> UserBuilder {
    user("doctor-1").name("Jonas Lindqvist").role("Doctor").claim("department", "ICU")
}

fn administrator() -> UserBuilder {
    user("admin-1").name("Mei Tanaka").role("Admin").claim("department", "Administration")
}

#[tokio::test(start_paused = true)]
async fn only_clinical_staff_can_connect() {
    let Server { host, .. } = &Server::start();
    for (visitor, expected) in [(User::anonymous(), 401), (user("visitor").role("Visitor").build(), 403)] {
        match host.try_connect(HubProtocolKind::Json, visitor).await {
            Err(ConnectError::Refused { status, .. }) => assert_eq!(status, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_nurse_receives_vital_signs_of_her_ward() {
    for &format in HubProtocolKind::ALL {
        let Server { host, .. } = &Server::start();
        let nurse = host.connect(format, nurse()).await;
        nurse.expect_nothing(Duration::from_secs(3)).await;
        nurse.invoke::<()>("SubscribeToWard", ("ICU",)).await.unwrap();
        let (sheet,): (Value,) = nurse.receive("WardOpened").await;
        assert_eq!((&sheet["id"], sheet["patients"].as_array().unwrap().len()), (&Value::from("ICU"), 4));
        for _ in 0..3 {
            let (vitals,): (Value,) = nurse.receive("VitalsUpdated").await;
            assert_eq!(vitals["ward"], "ICU");
        }
        nurse.invoke::<()>("LeaveWard", ("ICU",)).await.unwrap();
        while nurse.try_receive::<(Value,)>("VitalsUpdated").await.is_some() {}
        nurse.expect_nothing(Duration::from_secs(3)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn access_to_other_wards_is_denied_and_sent_to_administrators() {
    let Server { host, .. } = &Server::start();
    let administrator = host.connect(HubProtocolKind::Json, administrator()).await;
    assert_eq!(administrator.receive::<(Vec<Value>,)>("AuditOpened").await.0.len(), 0);
    let nurse = host.connect(HubProtocolKind::Json, nurse()).await;
    let error = nurse.invoke::<()>("SubscribeToWard", ("ER",)).await.unwrap_err();
    let reason = "Access to this ward requires matching department assignment.";
    assert!(error.to_string().ends_with(reason), "{error}");
    let (denial,): (Value,) = administrator.receive("ActionDenied").await;
    assert_eq!((&denial["user"], &denial["reason"]), (&Value::from("Amara Okafor"), &Value::from(reason)));
    administrator.invoke::<()>("SubscribeToWard", ("ER",)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_doctors_order_drugs_and_the_ward_receives_the_orders() {
    let Server { host, .. } = &Server::start();
    let nurse = host.connect(HubProtocolKind::Json, nurse()).await;
    let doctor = host.connect(HubProtocolKind::Json, doctor()).await;
    nurse.invoke::<()>("SubscribeToWard", ("ICU",)).await.unwrap();
    let (sheet,): (Value,) = nurse.receive("WardOpened").await;
    let patient = sheet["patients"][0]["id"].as_str().unwrap();

    let error = nurse.invoke::<Value>("OrderMedication", (patient, "Aspirin")).await.unwrap_err();
    assert_eq!(error.to_string(), "Failed to invoke 'OrderMedication' because user is unauthorized");
    let order = doctor.invoke::<Value>("OrderMedication", (patient, " Aspirin ")).await.unwrap();
    assert_eq!((&order["drug"], &order["orderedBy"]), (&Value::from("Aspirin"), &Value::from("Jonas Lindqvist")));
    assert_eq!(nurse.receive::<(Value,)>("MedicationOrdered").await, (order,));
    let error = doctor.invoke::<Value>("OrderMedication", (uuid::Uuid::nil(), "Aspirin")).await.unwrap_err();
    assert!(error.to_string().ends_with("There is no such patient."), "{error}");
    for drug in ["", "x".repeat(81).as_str()] {
        doctor.invoke::<Value>("OrderMedication", (patient, drug)).await.unwrap_err();
    }
}

#[tokio::test]
async fn cross_origin_pages_cannot_open_websockets() {
    let sessions = Sessions::new(SHORT_TOKEN_LIFETIME).unwrap();
    let hubs = SignalR::builder().authentication(sessions.bearer());
    let hubs = hubs.allowed_origins(crate::allowed_origins("127.0.0.1:5000".parse().unwrap()));
    let wards = Arc::new(Wards::new().unwrap());
    let signalr = crate::server(hubs, &wards, &Audit::new().0, &Arc::default()).build().unwrap();
    let login = serde_json::to_value(sessions.login("nurse", false).unwrap()).unwrap();
    let token = login["token"].as_str().unwrap();
    for (origin, expected) in [
        ("http://127.0.0.1:5000", true),
        ("http://localhost:5000", true),
        ("https://evil.test", false),
        ("http://127.0.0.1:5001", false),
        ("null", false),
    ] {
        let request = http::Request::get(format!("/hubs/clinical?access_token={token}"))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("origin", origin);
        let response = signalr.service().oneshot(request.body(String::new()).unwrap()).await.unwrap();
        assert_eq!(response.status() != 403, expected, "{origin}: {}", response.status());
    }
}
