//! Everything a method of a hub may look like.
#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications, single_use_lifetimes)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;

use signalr::auth::Authorize;
use signalr::hub::Methods;
use signalr::{Caller, DisconnectReason, Hub, HubError, HubResult, hub};

struct Shapes {
    name: String,
    seen: Mutex<Vec<u32>>,
}

/// An error with its own conversion.
struct Full;

impl From<Full> for HubError {
    fn from(_: Full) -> Self {
        Self::new("It is full.")
    }
}

type Answer<T = ()> = Result<T, Full>;

fn common<H: Hub>(methods: &mut Methods<H>) {
    methods.method("Version", |_, _, (): ()| async { Ok("1.0") });
}

struct Other;

impl Other {
    fn methods<H: Hub>(methods: &mut Methods<H>) {
        methods.method("Other", |_, _, (): ()| async { Ok(()) });
    }
}

#[signalr::hub(items = Mutex<Vec<u8>>, include = common, include = Other::methods::<Self>)]
impl Shapes {
    // No `async`, no return type, no parameters.
    fn nothing(&self) {}

    async fn forget(&self, _: u32, mut list: Vec<u32>) {
        list.push(1);
        self.remember(&list);
    }

    // The value may borrow from the hub, since it is serialized at once.
    fn name(&self) -> &str {
        &self.name
    }

    async fn longest<'a>(&'a self, _: &Caller<Self>) -> Option<&'a String> {
        std::future::ready(()).await;
        Some(&self.name)
    }

    // A parameter that is only read.
    fn len(&self, text: String, map: HashMap<String, Vec<u8>>) -> usize {
        self.name.len() + text.len() + map.len()
    }

    // A result is recognized by its type, not by the name of the type.
    async fn aliased(&self, fits: bool) -> Answer<u32> {
        if fits {
            Ok(self.seen.lock().map_or(0, |seen| seen.len()).try_into().unwrap_or(0))
        } else {
            Err(Full)
        }
    }

    async fn plain(&self, text: Cow<'static, str>) -> HubResult {
        text.parse::<u32>()?;
        Ok(())
    }

    fn io(&self) -> std::io::Result<(u32, String)> {
        Ok((1, String::new()))
    }

    async fn callers(&self, a: &Caller<Self>, b: &Caller<Self>) -> bool {
        a.connection_id() == b.connection_id()
    }

    fn r#type(&self, r#in: u8) -> u8 {
        r#in
    }

    /// Has documentation, a name and a rule.
    #[hub(name = "GetECG")]
    #[signalr::authorize(roles = "Doctor")]
    #[must_use]
    fn ecg(&self) -> impl serde::Serialize + use<> {
        [1.0, 2.0]
    }

    #[cfg(not(any()))]
    fn there(&self) -> u8 {
        1
    }

    #[cfg(any())]
    fn there(&self) -> Missing {
        2
    }

    #[deprecated]
    fn old(&self) {}

    fn many(&self, p0: u8, p1: u8, p2: u8, p3: u8, p4: u8, p5: u8) -> u32 {
        [p0, p1, p2, p3, p4, p5].into_iter().map(u32::from).sum()
    }

    // Names that the generated code has, too.
    fn authorize(&self, methods: u8, hub: u8, invocation: u8, arguments: u8, value: u8) -> u8 {
        methods + hub + invocation + arguments + value
    }

    fn on_connected(&self) {
        self.remember(&[2]);
    }

    fn on_disconnected(&self, _: &Caller<Self>, reason: Option<&DisconnectReason>) -> Answer {
        if reason.is_some() { Err(Full) } else { Ok(()) }
    }
}

impl Shapes {
    fn remember(&self, list: &[u32]) {
        self.seen.lock().expect("no panic").extend(list);
    }
}

/// A hub without methods that clients can call.
struct Listener;

#[hub]
impl Listener {
    fn on_authentication_refreshed(&self) -> Answer {
        Ok(())
    }

    async fn on_disconnected(&self) -> std::io::Result<()> {
        std::future::ready(Ok(())).await
    }
}

struct Empty;

#[hub()]
impl Empty {}

/// Allows anonymous clients; users are authenticated by the schemes of this hub.
struct Status;

#[signalr::allow_anonymous]
#[hub]
impl Status {
    #[authorize(roles = "Admin")]
    fn restart(&self) {}
}

struct Devices;

#[hub]
#[authorize(policy = "Devices", schemes = "ApiKey, Certificate")]
impl Devices {}

fn main() {
    assert!(Status::allow_anonymous() && !Devices::allow_anonymous());
    let devices = Authorize::policy("Devices").schemes("ApiKey, Certificate");
    assert_eq!(Devices::authorize(), [devices]);
    let _ = (Status, Devices);
    Shapes {
        name: String::new(),
        seen: Mutex::default(),
    }
    .nothing();
    let _ = (Listener, Empty);
    assert!(
        <Shapes as Hub>::authorize().is_empty(),
        "the rules, not the method of that name"
    );
}
