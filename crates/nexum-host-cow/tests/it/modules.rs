//! Modules that use the order book, in a whole host.

mod host;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::engine::ModuleConfig;
use nexum_config::limits::{Limit, Limits};
use nexum_core::capability::HostCallKind;
use nexum_core::store::{MemoryStore, StateStore};
use nexum_host_cow::{BaseUrl, CowConfig};
use nexum_testing::order_book::{Fault, OrderTerms, ReceivedRequest, Scheme, SignedOrder, Trader};
use nexum_testing::{FaultyStore, OrderBook, ScriptedSource, TEST_CHAIN_ID};
use serde_json::{Value, json};

use self::host::{Host, module};

const POST_ORDER: &str = "POST /api/v1/orders";

/// A configuration with an order book for the test's chain, and a limit that no test reaches.
fn config(book: &OrderBook) -> CowConfig {
    let mut config = CowConfig::default();
    config.requests_per_second = NonZeroU32::new(1_000).unwrap();
    config.chains.entry(TEST_CHAIN_ID).or_default().base_url = Some(BaseUrl::parse(&book.url()).unwrap());
    config
}

/// The fixture that sends the requests of its configuration.
fn submitter(config: &[(&str, &str)]) -> ModuleConfig {
    module("submitter", "cow-submitter", config)
}

/// A host with one submitter.
async fn host(book: &OrderBook, module_config: &[(&str, &str)]) -> Host {
    Host::start(&config(book), vec![submitter(module_config)]).await
}

/// The module's record of the order book's answer to its order.
async fn said_to(book: &OrderBook, order: &Value) -> String {
    let host = host(book, &[("order", &order.to_string())]).await;
    host.said_of_next().await.join("\n")
}

#[tokio::test]
async fn orders_of_every_scheme_reach_the_order_book() {
    let book = OrderBook::start().await;
    let orders = Scheme::ALL.map(|scheme| SignedOrder::good(scheme, scheme as u64));
    let json = orders.each_ref().map(|order| order.to_json().to_string());
    let names = Scheme::ALL.map(|scheme| format!("{scheme:?}").to_lowercase());
    let modules = (0..4).map(|index| module(&names[index], "cow-submitter", &[("order", &json[index])]));
    let host = Host::start(&config(&book), modules.collect()).await;
    host.mine().await;
    for (name, order) in names.iter().zip(&orders) {
        assert_eq!(host.said(name), [format!("submit-order: ok {}", order.uid())], "{name}");
        let stored = book.orders().into_iter().find(|stored| stored.uid == order.uid());
        let stored = stored.unwrap_or_else(|| panic!("{name} is not there"));
        assert_eq!((stored.scheme, stored.owner), (order.scheme, order.owner()), "{name}");
        assert_eq!(
            (&stored.terms, &stored.signature),
            (&order.terms, &order.signature),
            "{name}"
        );
    }
}

#[tokio::test]
async fn requests_come_back_as_the_order_book_answers_them() {
    let book = OrderBook::start().await;
    let order = SignedOrder::good(Scheme::Eip712, 1);
    let trader = Trader::new(1);
    let (uid, owner) = (order.uid(), order.owner());
    let quote = json!({
        "kind": "sell", "sellAmountBeforeFee": "11000", "from": owner,
        "sellToken": order.terms.sell_token, "buyToken": order.terms.buy_token,
    });
    let not_found = r#"{"description":"there is no order of this UID","errorType":"NotFound"}"#;
    for (request, answer) in [
        ("GET /api/v1/version".to_owned(), "ok nexum-testing"),
        ("get api/v1/version".to_owned(), "ok nexum-testing"),
        (
            format!("GET /api/v1/orders/{uid}"),
            &format!("invalid-input 404 {not_found}"),
        ),
        (format!("{POST_ORDER} {}", order.to_json()), &format!("ok \"{uid}\"")),
        (format!("GET /api/v1/orders/{uid}"), "ok {"),
        (format!("GET /api/v1/account/{owner}/orders?limit=1"), "ok [{"),
        (format!("GET /api/v1/trades?owner={owner}"), "ok []"),
        (format!("POST /api/v1/quote {quote}"), "ok {"),
        (r#"PUT /api/v1/app_data {"fullAppData":"{}"}"#.to_owned(), "ok \"0x"),
        (
            format!("DELETE /api/v1/orders {}", trader.cancellation(&[uid])),
            "ok \"Cancelled\"",
        ),
        (
            format!("DELETE /api/v1/orders {}", trader.cancellation(&[uid])),
            r#"invalid-input 400 {"description":"the order is cancelled already","errorType":"AlreadyCancelled"}"#,
        ),
        (
            format!("DELETE /api/v1/orders {}", Trader::new(2).cancellation(&[uid])),
            "denied 401 {",
        ),
        ("GET /api/v1/orders/..%2f..%2f".to_owned(), "invalid-input 0 -"),
        ("GET https://example.org/".to_owned(), "invalid-input 0 -"),
        ("PATCH /api/v1/version".to_owned(), "invalid-input 0 -"),
    ] {
        let host = host(&book, &[("request", &request)]).await;
        let said = host.said_of_next().await.join("\n");
        assert!(said.starts_with(&format!("request: {answer}")), "{request}: {said}");
    }
}

#[tokio::test]
async fn a_request_that_hangs_is_the_current_host_call_with_its_order_book() {
    let book = OrderBook::start().await;
    let order = SignedOrder::good(Scheme::Eip712, 1).to_json().to_string();
    let url = book.url();
    for (key, value, method) in [
        ("request", "GET /api/v1/version", "api/v1/version"),
        ("order", &order, "submit-order"),
    ] {
        book.fail_always(Some(Fault::Hang));
        let host = host(&book, &[(key, value)]).await;
        host.chain.mine(1);
        let call = host.current_call().await;
        let found = (call.kind, call.method, call.endpoint.as_deref());
        let expected = url.strip_suffix("/sepolia");
        assert!(expected.is_some(), "{url}");
        assert_eq!(found, (HostCallKind::OrderBook, method, expected));
    }
}

/// A change of an order, and the answer that its module receives.
type Row = (fn(&mut OrderTerms), &'static str);

#[tokio::test]
async fn what_the_order_book_refuses_comes_back_with_its_words() {
    let book = OrderBook::start().await;
    let rows: &[Row] = &[
        (|terms| terms.valid_to -= 86_400, "InsufficientValidTo"),
        (|terms| terms.sell_amount = "0".parse().unwrap(), "ZeroAmount"),
        (|terms| terms.buy_token = terms.sell_token, "SameBuyAndSellToken"),
        (|terms| terms.fee_amount = "1".parse().unwrap(), "NonZeroFee"),
    ];
    for (change, error_type) in rows {
        let mut terms = OrderTerms::good();
        change(&mut terms);
        let said = said_to(&book, &Trader::new(1).sign(&terms, Scheme::Eip712).to_json()).await;
        assert!(
            said.starts_with("submit-order: invalid-input 400 {"),
            "{error_type}: {said}"
        );
        assert!(said.contains(&format!(r#""errorType":"{error_type}""#)), "{said}");
    }
    assert_eq!(book.orders(), []);
}

#[tokio::test]
async fn what_is_no_order_of_its_owner_is_not_sent() {
    let book = OrderBook::start().await;
    let good = SignedOrder::good(Scheme::Eip712, 1).to_json();
    let edit = |key: &str, value: Value| {
        let mut order = good.clone();
        order[key] = value;
        order
    };
    for order in [
        json!("malformed"),
        json!({}),
        edit("sellAmount", json!("1")),
        edit("from", json!(Trader::new(2).address())),
        edit("appData", json!("{ }")),
        edit("validTo", json!(u32::MAX)),
        edit("signature", json!("0x12")),
    ] {
        let said = said_to(&book, &order).await;
        assert!(said.starts_with("submit-order: invalid-input 0 -"), "{order}: {said}");
    }
    assert_eq!(book.request_count(), 0);
}

#[tokio::test]
async fn an_order_that_is_there_already_counts_as_submitted() {
    let book = OrderBook::start().await;
    let order = SignedOrder::good(Scheme::Eip712, 1);
    let ok = format!("submit-order: ok {}", order.uid());
    let host = host(&book, &[("order", &order.to_json().to_string()), ("count", "2")]).await;
    for _ in 0..2 {
        assert_eq!(host.said_of_next().await, [ok.as_str(), ok.as_str()]);
    }
    assert_eq!((book.orders().len(), book.request_count()), (1, 4));
}

/// The order book says `DuplicatedOrder`, and its description said `DuplicateOrder`: cowprotocol/services#1928. With
/// one spelling alone, an order that is there would be one that failed.
#[tokio::test]
async fn a_duplicated_order_is_done_in_both_spellings_of_its_name() {
    let [first, second] = [1, 2].map(|trader| SignedOrder::good(Scheme::Eip712, trader));
    let [json, other] = [&first, &second].map(|order| order.to_json().to_string());
    for (error_type, is_done) in [
        ("DuplicatedOrder", true),
        ("DuplicateOrder", true),
        ("DuplicateOrders", false),
    ] {
        let book = OrderBook::start().await;
        let host = host(&book, &[("order.0", &json), ("order.1", &other)]).await;
        // From the first answer, nexum knows that the book computes the same UIDs.
        host.mine().await;
        let refusal = Fault::Error {
            status: 400,
            error_type: error_type.to_owned(),
            description: "order already exists".to_owned(),
        };
        book.fail_next_of(POST_ORDER, refusal);
        let said = host.said_of_next().await.join("\n");
        let ok = format!("submit-order: ok {}", second.uid());
        assert_eq!(said == ok, is_done, "{error_type}: {said}");
        assert!(is_done || said.contains(error_type), "{said}");
    }
}

/// The record says that the order was on its way, and not what became of it.
#[tokio::test]
async fn a_host_that_crashed_after_a_post_submits_the_order_again_and_has_its_uid() {
    let book = OrderBook::start().await;
    let order = SignedOrder::good(Scheme::Eip712, 1);
    let json = order.to_json().to_string();
    let store = Arc::new(MemoryStore::new());
    let start = async |chain: &ScriptedSource, disk: &FaultyStore| {
        let modules = vec![submitter(&[("order.1", &json)])];
        let on = (chain.clone(), Arc::new(disk.clone()) as Arc<dyn StateStore>);
        Host::start_on(&config(&book), modules, Limits::default(), on).await
    };
    let (chain, disk) = (ScriptedSource::new(TEST_CHAIN_ID), FaultyStore::new(store.clone()));
    let host = start(&chain, &disk).await;
    host.mine().await;
    // The book stores the order, and the process dies before it knows that.
    book.fail_next_of(POST_ORDER, Fault::CutAfterStoring);
    book.fail_next_of("GET /api/v1/orders", Fault::Hang);
    chain.mine(1);
    book.until(|book| book.request_count() == 3).await;
    // A dead process writes no more, so its remaining threads must not write either.
    disk.fail_writes(true);
    drop(host);
    assert_eq!(book.orders().len(), 1);

    let chain = chain.at_head();
    let host = start(&chain, &FaultyStore::new(store)).await;
    host.mine().await;
    host.mine().await;
    assert_eq!(host.said("submitter"), [format!("submit-order: ok {}", order.uid())]);
    assert_eq!(book.orders().len(), 1);
}

#[tokio::test]
async fn an_order_that_was_stored_before_the_connection_broke_is_one_order() {
    let book = OrderBook::start().await;
    let order = SignedOrder::good(Scheme::Eip712, 1);
    book.fail_next_of(POST_ORDER, Fault::CutAfterStoring);
    let host = host(&book, &[("order", &order.to_json().to_string())]).await;
    assert_eq!(host.said_of_next().await, [format!("submit-order: ok {}", order.uid())]);
    // The first duplicate of an order book confirms the UID.
    assert_eq!((book.orders().len(), book.request_count()), (1, 3));
}

#[tokio::test]
async fn an_event_that_failed_after_it_submitted_has_the_uid_at_its_next_attempt_and_submits_nothing() {
    for then in ["fail", "trap"] {
        let book = OrderBook::start().await;
        let order = SignedOrder::good(Scheme::Eip712, 1);
        let host = host(&book, &[("order", &order.to_json().to_string()), ("then", then)]).await;
        host.mine().await;
        host.mine().await;
        let ok = format!("submit-order: ok {}", order.uid());
        assert_eq!(host.said("submitter"), [ok.as_str(), ok.as_str()], "{then}");
        assert_eq!((book.orders().len(), book.request_count()), (1, 1), "{then}");
    }
}

#[tokio::test]
async fn the_order_of_a_block_that_a_reorganisation_replaces_is_not_submitted_again() {
    let book = OrderBook::start().await;
    let order = SignedOrder::good(Scheme::Eip712, 1);
    let host = host(&book, &[("order.1", &order.to_json().to_string())]).await;
    host.mine().await;
    host.mine().await;
    host.chain.reorg(1);
    host.mine().await;
    let ok = format!("submit-order: ok {}", order.uid());
    assert_eq!(host.said("submitter"), [ok.as_str(), ok.as_str()]);
    assert_eq!((book.orders().len(), book.request_count()), (1, 1));
}

#[tokio::test]
async fn trouble_that_passes_is_waited_out() {
    for fault in [
        Fault::TooManyRequests { retry_after: None },
        Fault::TooManyRequests { retry_after: Some(1) },
        Fault::Status(500),
        Fault::PlainText(502, "<html>".into()),
        Fault::Status(503),
        Fault::Cut,
    ] {
        let book = OrderBook::start().await;
        let order = SignedOrder::good(Scheme::Eip712, 1);
        book.fail_next(fault.clone());
        let said = said_to(&book, &order.to_json()).await;
        assert_eq!(said, format!("submit-order: ok {}", order.uid()), "{fault:?}");
        assert_eq!(book.request_count(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn trouble_that_stays_is_told_before_the_event_ends() {
    let limits = Limits::default().with(Limit::Deadline, 1_000);
    for (fault, said) in [
        (Fault::Hang, "timeout 0 -"),
        (Fault::Status(503), "unavailable 503"),
        (
            Fault::TooManyRequests { retry_after: Some(60) },
            "rate-limited 429 too many requests",
        ),
        (Fault::error(500, "SellAmountOverflow"), "invalid-input 500 {"),
        (Fault::Huge { bytes: 1 << 26 }, "denied 0 -"),
    ] {
        let book = OrderBook::start().await;
        book.fail_always(Some(fault.clone()));
        let order = SignedOrder::good(Scheme::Eip712, 1).to_json().to_string();
        let module = submitter(&[("order", &order), ("then", "error")]);
        let host = Host::start_limited(&config(&book), vec![module], limits).await;
        let heard = host.said_of_next().await.join("\n");
        assert!(
            heard.starts_with(&format!("submit-order: {said}")),
            "{fault:?}: {heard}"
        );
    }
}

#[tokio::test]
async fn a_chain_without_an_order_book_is_unsupported() {
    let book = OrderBook::start().await;
    let order = SignedOrder::good(Scheme::Eip712, 1).to_json().to_string();
    let more = [
        ("chain", "31337"),
        ("request", "GET /api/v1/version"),
        ("order", &order),
    ];
    let said = host(&book, &more).await.said_of_next().await;
    assert_eq!(said.len(), 2);
    for line in said {
        assert!(line.contains(": unsupported 0 -"), "{line}");
    }
    assert_eq!(book.request_count(), 0);
}

#[tokio::test]
async fn fifty_modules_share_the_rate_and_each_gets_its_turn() {
    const MODULES: usize = 50;
    const ROUNDS: usize = 3;
    const PER_SECOND: usize = 40;
    let book = OrderBook::start().await;
    let orders: Vec<_> = (0..MODULES as u64)
        .map(|number| SignedOrder::good(Scheme::Eip712, number))
        .collect();
    let modules = orders.iter().enumerate().map(|(index, order)| {
        let order = order.to_json().to_string();
        let config = [("order", order.as_str()), ("count", &ROUNDS.to_string())];
        module(&format!("m{index}"), "cow-submitter", &config)
    });
    let mut config = config(&book);
    config.requests_per_second = NonZeroU32::new(PER_SECOND as u32).unwrap();
    let limits = Limits::default().with(Limit::Deadline, 60_000);
    let host = Host::start_limited(&config, modules.collect(), limits).await;
    host.mine().await;

    for (index, order) in orders.iter().enumerate() {
        let ok = format!("submit-order: ok {}", order.uid());
        assert_eq!(host.said(&format!("m{index}")), vec![ok; ROUNDS], "m{index}");
    }
    assert_eq!(book.orders().len(), MODULES);

    let requests = book.requests();
    assert_eq!(requests.len(), MODULES * ROUNDS);
    let window = Duration::from_secs(1);
    for first in &requests {
        let of_window = |at: Duration| at >= first.at && at < first.at + window;
        let count = requests.iter().filter(|request| of_window(request.at)).count();
        assert!(count <= PER_SECOND, "{count} from {:?} on", first.at);
    }
    // No module gets more than two turns ahead of a module that waits. The first turns need no
    // wait: they go to the first to ask.
    let makers: Vec<_> = requests.iter().map(maker).collect();
    let (first, waited_for) = makers.split_at(PER_SECOND);
    let mut left: BTreeMap<_, _> = makers.iter().map(|maker| (maker, ROUNDS)).collect();
    first.iter().for_each(|maker| *left.get_mut(maker).unwrap() -= 1);
    let mut turns: BTreeMap<_, _> = makers.iter().map(|maker| (maker, 0_usize)).collect();
    for (place, maker) in waited_for.iter().enumerate() {
        *turns.get_mut(maker).unwrap() += 1;
        *left.get_mut(maker).unwrap() -= 1;
        let waiting = turns.iter().filter(|(maker, _)| left[*maker] > 0);
        let least = waiting.map(|(_, turns)| *turns).min().unwrap_or(usize::MAX - 2);
        assert!(turns[maker] <= least + 2, "at request {place}: {turns:?}");
    }
}

/// The owner of the order that a request submits.
fn maker(request: &ReceivedRequest) -> String {
    let order: Value = serde_json::from_str(&request.body).unwrap();
    order["from"].to_string()
}

#[tokio::test]
async fn nothing_that_goes_wrong_shows_where_the_order_book_is() {
    const KEY: &str = "0123456789abcdef-key";
    const PASSWORD: &str = "hunter2-password";
    let order = SignedOrder::good(Scheme::Eip712, 1).to_json().to_string();
    let limits = Limits::default().with(Limit::Deadline, 500);
    let book = OrderBook::start().await.with_base_path(&format!("/v3/{KEY}"));
    let url = book.url().replace("http://", &format!("http://trader:{PASSWORD}@"));
    let mut config = config(&book);
    config.chains.entry(TEST_CHAIN_ID).or_default().base_url = Some(BaseUrl::parse(&url).unwrap());
    let echo = format!("there is nothing at {url}/api/v1/orders");
    for fault in [
        None,
        Some(Fault::Status(500)),
        Some(Fault::Hang),
        Some(Fault::Cut),
        Some(Fault::PlainText(404, echo.clone())),
        Some(Fault::PlainText(502, echo.clone())),
        Some(Fault::Error {
            status: 400,
            error_type: "InvalidSignature".into(),
            description: echo,
        }),
    ] {
        book.fail_always(fault.clone());
        let more = [
            ("order", order.as_str()),
            ("request", "GET /api/v1/version"),
            ("then", "error"),
        ];
        let host = Host::start_limited(&config, vec![submitter(&more)], limits).await;
        host.mine().await;
        let shown = format!("{:?}", host.records.all());
        assert!(shown.contains("submit-order"), "{fault:?}: {shown}");
        for secret in [KEY, PASSWORD] {
            assert!(!shown.contains(secret), "{fault:?}: {shown}");
        }
    }
    let authorization = book.requests()[0].header("authorization").map(str::to_owned);
    assert!(authorization.is_some(), "the password is used");
}

#[tokio::test]
async fn the_example_logs_a_quote_every_so_many_blocks() {
    let book = OrderBook::start().await;
    let sell_token = OrderTerms::good().sell_token.to_string();
    let buy_token = OrderTerms::good().buy_token.to_string();
    let more = [
        ("sell_token", sell_token.as_str()),
        ("buy_token", &buy_token),
        ("sell_amount", "11000"),
        ("every", "2"),
    ];
    let host = Host::start(&config(&book), vec![module("quotes", "cow-quote-logger", &more)]).await;
    for _ in 0..4 {
        host.mine().await;
    }
    book.set_price(OrderTerms::good().buy_token, None);
    host.mine().await;
    host.mine().await;
    let said = host.said("quotes");
    let [first, second, refused] = said.as_slice() else {
        panic!("{said:?}")
    };
    let quote = format!("10000 of {sell_token} and a fee of 1000 buy 10000 of {buy_token}");
    for line in [first, second] {
        assert!(line.ends_with(&quote), "{line}");
    }
    assert!(refused.contains("no quote: NoLiquidity: "), "{refused}");
    assert_eq!(book.request_count(), 3);
}
