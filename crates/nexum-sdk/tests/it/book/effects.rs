use nexum_sdk::testing::Harness;
use nexum_sdk::{Decoded, Result, http, module, sol, store};

sol! {
    event Paused(address account);
}

const NOTIFIED: store::Counter = store::Counter::new("notified");

/// The body of the request.
#[derive(serde::Serialize)]
struct Alert {
    id: String,
    account: String,
}

#[derive(Default)]
struct Notify;

#[module]
impl Notify {
    #[on_event(Paused, chain_id = 1, finality = "finalized")]
    fn on_paused(&mut self, paused: Decoded<Paused>) -> Result {
        // The id follows from the event, so the server can recognise a repetition.
        let alert = Alert {
            id: format!("{}-{}", paused.log.transaction_hash, paused.log.log_index),
            account: paused.event.account.to_string(),
        };
        let request = http::post("https://alerts.example.com/v1").timeout_ms(3_000);
        request.json(&alert)?.send()?.ok()?;
        NOTIFIED.add(1)?;
        Ok(())
    }
}

#[test]
fn a_retry_repeats_an_effect_with_its_id() {
    let mut notify = Harness::<Notify>::new(&[]).expect("it starts");
    notify.host.on_http(|_| {
        Some(Ok(nexum_sdk::http::Response {
            status: 200,
            headers: vec![],
            body: vec![],
        }))
    });
    let paused = notify.log(
        nexum_sdk::Address::ZERO,
        &Paused {
            account: nexum_sdk::Address::ZERO,
        },
    );
    let event = nexum_sdk::Event::Logs(vec![paused]);
    // The second call of the store is the write of the counter.
    notify.host.fail_store_at(2);
    notify.deliver(event.clone()).expect_err("the store fails");
    notify.deliver(event).expect("handled");
    let bodies: Vec<_> = notify.host.http_requests.iter().map(|request| &request.body).collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
}
