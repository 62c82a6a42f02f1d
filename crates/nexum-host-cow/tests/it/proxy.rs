//! The proxy that the environment names.

use nexum_host_cow::OrderBooks;
use nexum_testing::order_book::Fault;
use nexum_testing::{OrderBook, run_with_proxy};
use tokio::task::spawn_blocking;

use crate::support::{config, get};

/// The variable with the order book's URL, for the child process.
const URL: &str = "NEXUM_COW_TEST_PROXY";

/// The test starts itself as a child process, because all threads of a process share one
/// environment.
#[tokio::test]
async fn a_proxy_in_the_environment_is_used_if_the_operator_asks_for_it() {
    if let Some(url) = std::env::var_os(URL) {
        let mut config = config(url.to_str().unwrap());
        get(&OrderBooks::new(&config), "/api/v1/version").await.unwrap();
        config.use_proxy = true;
        let error = get(&OrderBooks::new(&config), "/api/v1/version").await.unwrap_err();
        assert_eq!(error.to_host_error().code, 407);
        return;
    }
    let book = OrderBook::start().await;
    // An HTTP proxy is a server that receives requests with absolute URLs.
    let proxy = OrderBook::start().await;
    proxy.fail_always(Some(Fault::Status(407)));
    let name = "proxy::a_proxy_in_the_environment_is_used_if_the_operator_asks_for_it";
    let mut command = run_with_proxy(name, &proxy.url());
    command.env(URL, book.url());
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((book.request_count(), proxy.request_count()), (1, 1));
}
