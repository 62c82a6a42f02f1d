//! Orders that wait for their start: blocks, memory, and starts of nexum.

use std::fs;

use nexum_testing::bench::Figure;
use nexum_testing::cow::{TOWER, Twap};
use nexum_testing::{Daemon, guests};

use crate::setting::{Setting, UNLIMITED, metric};
use crate::{ORDERS, public_tower, start};

/// The blocks of a measurement, and those to warm up.
const BLOCKS: u32 = 50;
const WARM_UP: usize = 5;

/// The aims for a block.
const REQUESTS_MAX: f64 = 1.0;
const MS_MAX: f64 = 5.0;

/// The most memory of the guest, in MB.
const GUEST_MB_MAX: f64 = 10.0;

/// The largest component, in kB.
const COMPONENT_KB_MAX: f64 = 500.0;

/// The time until the orders start: longer than the measurement.
const WAIT_S: u64 = 30 * 24 * 3_600;

pub(crate) async fn figures() -> Vec<Figure> {
    let setting = Setting::new(UNLIMITED).await;
    let begin = setting.chain.timestamp() + WAIT_S;
    let owner = setting.chain.safe(1).await;
    setting
        .create(&[owner], ORDERS, |salt| Twap::new(begin, 4, 600).order(salt))
        .await;
    let tower = setting.tower(ORDERS).await;
    let (samples, requests) = setting.blocks(&tower.daemon, WARM_UP, BLOCKS).await;
    let name = "1,000 orders waiting, a block";
    let mined = samples.median(|times| times.mined);
    let mut figures = vec![
        Figure::new(
            format!("{name}: requests"),
            "requests",
            requests,
            public_tower::WAITING_REQUESTS,
        )
        .at_most(REQUESTS_MAX),
    ];
    figures.extend(samples.figures(name, public_tower::WAITING_MS, MS_MAX, "mining alone", mined));
    figures.extend(memory(&tower.daemon).await);
    figures.push(component());
    figures.extend(start::figures(&setting, tower).await);
    figures
}

async fn memory(daemon: &Daemon) -> [Figure; 2] {
    let module = format!("module=\"{TOWER}\"");
    let guest = metric(daemon, "nexum_module_memory_bytes", &[&module]).await;
    [
        Figure::new(
            "1,000 orders waiting: memory of the guest",
            "MB",
            guest / 1e6,
            public_tower::MEMORY_MB,
        )
        .at_most(GUEST_MB_MAX),
        Figure::new(
            "1,000 orders waiting: resident memory of nexum",
            "MB",
            resident_mb(daemon.id()),
            public_tower::MEMORY_MB,
        ),
    ]
}

/// The resident memory of a process.
fn resident_mb(id: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a process of Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.expect("a size") * 1_024.0 / 1e6
}

/// The size of the component, beside one that does nothing.
fn component() -> Figure {
    #[expect(clippy::cast_precision_loss, reason = "a component is far smaller than 2^52 bytes")]
    let kilobytes = |guest: &str| fs::metadata(guests::component(guest)).expect("a guest").len() as f64 / 1e3;
    Figure::new("twap: component", "kB", kilobytes(TOWER), kilobytes("noop")).at_most(COMPONENT_KB_MAX)
}
