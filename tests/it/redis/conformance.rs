//! The conformance suite of `signalr::testing::backplane`.

use std::sync::Mutex;
use std::time::Duration;

use signalr::backplane::RedisBackplane;
use signalr::testing::backplane::{self as suite, BackplaneHarness};
use signalr_test_support::RedisServer;

struct RedisHarness(Mutex<RedisServer>);

impl BackplaneHarness for RedisHarness {
    type Backplane = RedisBackplane;

    async fn connect(&self) -> RedisBackplane {
        let url = self.0.lock().unwrap().url();
        RedisBackplane::new(url).unwrap().request_timeout(Duration::from_millis(500))
    }

    fn can_interrupt(&self) -> bool {
        true
    }

    async fn interrupt(&self) {
        self.0.lock().unwrap().kill();
    }

    async fn restore(&self) {
        self.0.lock().unwrap().launch();
    }
}

#[tokio::test]
async fn redis_backplane_passes_the_suite() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let report = suite::check(&RedisHarness(Mutex::new(redis))).await;
    assert!(report.skipped().is_empty(), "{report}");
}
