//! No process outlives `nexum dev`.

use super::{BLOCKS, Dev, RUNS, dev, project};
use crate::processes::{below, gone, send};

#[tokio::test]
async fn a_signal_ends_all_processes() {
    for (signal, code) in [("-TERM", Some(0)), ("-INT", Some(0)), ("-KILL", None)] {
        let dir = project("noop", BLOCKS);
        let mut dev = dev(&dir);
        dev.until(RUNS);
        let processes = below(dev.child.id());
        assert!(processes.iter().any(|process| process.is("anvil")), "{processes:#?}");
        assert!(
            processes.iter().any(|process| process.argument(1) == Some("run")),
            "{processes:#?}"
        );
        send(signal, dev.child.id());
        assert_eq!(dev.child.wait().expect("an end").code(), code, "{signal}");
        for process in processes {
            gone(process.id).await;
        }
    }
}

#[tokio::test]
async fn a_signal_ends_a_build() {
    let dir = project("noop", BLOCKS);
    let mut dev = Dev::start(&dir, &["--build-with", "sleep 1000 & echo begun; wait"]);
    dev.until("begun");
    let processes = below(dev.child.id());
    assert_eq!(processes.len(), 2, "{processes:#?}");
    send("-TERM", dev.child.id());
    assert_eq!(dev.child.wait().expect("an end").code(), Some(0));
    for process in processes {
        gone(process.id).await;
    }
}
