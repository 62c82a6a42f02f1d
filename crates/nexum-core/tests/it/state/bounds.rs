//! The bounds of a module's state, writes and lists.

use nexum_config::limits::Limit;
use nexum_host_store::KEY_BYTES_MAX;

use super::{keepers, said, usage};

#[tokio::test]
async fn keys_and_values_over_their_bounds_are_invalid_input() {
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    let longest = "k".repeat(KEY_BYTES_MAX);
    let over =
        format!("set {long} 1; get {long}; list {long}; set big 1048577; set big 1048576; set {longest} 1; list k");
    let (setup, store) = keepers(&[("bounds", &[("0", over.as_str()), ("1", "get big")])]);
    let run = setup
        .config("[engine.limits]\nstore_bytes_written_per_event = 1200000\n")
        .start()
        .await;
    run.chain.mine(2);
    run.handled("bounds", 2).await;
    let brief = said(&run, "bounds").replace(&long, "LONG").replace(&longest, "LONGEST");
    insta::assert_snapshot!(brief, @r#"
    set LONG 1: HostErrorKind::InvalidInput: a key has 1025 bytes, and 1024 at most are allowed
    get LONG: HostErrorKind::InvalidInput: a key has 1025 bytes, and 1024 at most are allowed
    list LONG: HostErrorKind::InvalidInput: a key has 1025 bytes, and 1024 at most are allowed
    set big 1048577: HostErrorKind::InvalidInput: a value has 1048577 bytes, and 1048576 at most are allowed
    set big 1048576: done
    set LONGEST 1: done
    list k: 1 from LONGEST to LONGEST
    get big: 1048576
    "#);
    assert_eq!(usage(&*store, "bounds"), (2, 3 + 1_048_576 + KEY_BYTES_MAX as u64 + 1));
}

#[tokio::test]
async fn a_quota_denies_a_write_and_the_event_goes_on() {
    let (setup, store) = keepers(&[(
        "quota",
        &[
            (
                "0",
                "set a 99; set b 1; set a 100; delete a; set b 98; get b; set b 100",
            ),
            ("1", "get a; get b; set b 10"),
        ],
    )]);
    let run = setup.config("[engine.limits]\nstate_bytes = 100\n").start().await;
    run.chain.mine(2);
    run.handled("quota", 2).await;
    insta::assert_snapshot!(said(&run, "quota"), @r#"
    set a 99: done
    set b 1: HostErrorKind::Denied: the module's state may have 100 bytes of keys and values, and this change would make it 102
    set a 100: HostErrorKind::Denied: the module's state may have 100 bytes of keys and values, and this change would make it 101
    delete a: done
    set b 98: done
    get b: 98
    set b 100: HostErrorKind::Denied: the module's state may have 100 bytes of keys and values, and this change would make it 101
    get a: none
    get b: 98
    set b 10: done
    "#);
    assert_eq!(usage(&*store, "quota"), (1, 11));
}

#[tokio::test]
async fn a_key_more_than_the_limit_is_denied_and_the_event_goes_on() {
    let (setup, store) = keepers(&[(
        "quota",
        &[
            ("0", "set a 1; set b 1; set c 1; set b 5; delete a; set c 1; list -"),
            ("1", "set d 1; delete b; fail"),
            ("2", "set d 1; list -; delete c; set d 1; list -"),
        ],
    )]);
    let run = setup.config("[engine.limits]\nstate_keys = 2\n").start().await;
    run.chain.mine(3);
    run.handled("quota", 2).await;
    insta::assert_snapshot!(said(&run, "quota"), @r#"
    set a 1: done
    set b 1: done
    set c 1: HostErrorKind::Denied: the module's state may have 2 keys, and this change would make it 3
    set b 5: done
    delete a: done
    set c 1: done
    list -: 2 from b to c
    set d 1: HostErrorKind::Denied: the module's state may have 2 keys, and this change would make it 3
    delete b: done
    set d 1: HostErrorKind::Denied: the module's state may have 2 keys, and this change would make it 3
    list -: 2 from b to c
    delete c: done
    set d 1: done
    list -: 2 from b to d
    "#);
    assert_eq!(usage(&*store, "quota"), (2, 6 + 2));
    let status = run.status("quota");
    let used = *status.consumption().last();
    assert_eq!((used[Limit::StateKeys], used[Limit::StateBytes]), (2, 8));
}

#[tokio::test]
async fn a_larger_value_than_the_limit_is_invalid_input() {
    let (setup, store) = keepers(&[("values", &[("0", "set a 11; set a 10; get a; set b 4")])]);
    let run = setup
        .config("[engine.limits]\nstore_value_bytes = 10\nstore_bytes_written_per_event = 20\n")
        .start()
        .await;
    run.chain.mine(1);
    run.handled("values", 1).await;
    insta::assert_snapshot!(said(&run, "values"), @r#"
    set a 11: HostErrorKind::InvalidInput: a value has 11 bytes, and 10 at most are allowed
    set a 10: done
    get a: 10
    set b 4: done
    "#);
    assert_eq!(usage(&*store, "values"), (2, 16));
    let status = run.status("values");
    assert_eq!(status.consumption().last()[Limit::StoreValueBytes], 10);
}

#[tokio::test]
async fn bytes_written_are_a_budget_of_the_event() {
    let (setup, store) = keepers(&[(
        "writer",
        &[
            ("0", "set a 40; set a 40; set a 40"),
            ("1", "get a; set a 40; set a 40; get a"),
        ],
    )]);
    let run = setup
        .config("[engine.limits]\nstore_bytes_written_per_event = 100\n")
        .start()
        .await;
    run.chain.mine(2);
    run.handled("writer", 1).await;
    insta::assert_snapshot!(said(&run, "writer"), @r#"
    set a 40: done
    set a 40: done
    get a: none
    set a 40: done
    set a 40: done
    get a: 40
    tripped store_bytes_written_per_event = 100
    "#);
    assert_eq!(usage(&*store, "writer"), (1, 41));
}

#[tokio::test]
async fn a_list_has_all_keys_of_its_prefix() {
    let (setup, store) = keepers(&[(
        "many",
        &[
            ("0", "fill p 20000 1; set q 1; list p; list -"),
            ("1", "clear p; list -"),
            ("2", "fill p 3 1; list p; list -"),
        ],
    )]);
    let limits = "[engine.limits]\nstore_operations_per_event = 100000\nevent_deadline_ms = 60000\n\
                  store_bytes_written_per_event = 10000000\nfuel_per_event = 100000000000\n";
    let run = setup.config(limits).start().await;
    run.chain.mine(3);
    run.handled("many", 3).await;
    assert_eq!(
        run.records.of_module("many"),
        [
            "fill p 20000 1: done",
            "set q 1: done",
            "list p: 20000 from p00000000 to p00019999",
            "list -: 20001 from p00000000 to q",
            "clear p: 20000 gone",
            "list -: 1 from q to q",
            "fill p 3 1: done",
            "list p: 3 from p00000000 to p00000002",
            "list -: 4 from p00000000 to q",
        ]
    );
    assert_eq!(usage(&*store, "many"), (4, 3 * 10 + 2));
}

#[tokio::test]
async fn a_list_over_the_budget_of_response_bytes_ends_the_event() {
    // A key of nine bytes counts 17.
    let (setup, store) = keepers(&[(
        "lister",
        &[
            ("0", "fill p 10 1"),
            ("1", "list p; list p0000000; set lost 1; list p"),
            ("2", "list p; list p00000009"),
        ],
    )]);
    let run = setup
        .config("[engine.limits]\nresponse_bytes_per_event = 400\n")
        .start()
        .await;
    run.chain.mine(3);
    run.handled("lister", 2).await;
    insta::assert_snapshot!(said(&run, "lister"), @r#"
    fill p 10 1: done
    list p: 10 from p00000000 to p00000009
    list p0000000: 10 from p00000000 to p00000009
    set lost 1: done
    list p: 10 from p00000000 to p00000009
    list p00000009: 1 from p00000009 to p00000009
    tripped response_bytes_per_event = 400
    "#);
    assert_eq!(usage(&*store, "lister"), (10, 100));
}
