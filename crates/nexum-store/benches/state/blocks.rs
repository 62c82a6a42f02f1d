//! One block for many modules that each send two chain requests and write twice, up to the last
//! durable commit.

use nexum_store::Backend;
use nexum_testing::Anvil;
use nexum_testing::bench::Figure;
use tokio::runtime::Runtime;

use crate::host::{Host, Work};
use crate::native::Native;
use crate::{Result, directory, medians};

const MODULES: usize = 50;
/// The pairs of samples, and the pairs to warm up.
const SAMPLES: usize = 200;
const WARM_UP: usize = 30;

/// The work of a module.
pub(crate) const WORK: Work = Work {
    requests: 2,
    reads: 0,
    writes: 2,
    bytes: 100,
};

/// The most time, as a multiple of a native program's.
const TIMES_NATIVE: f64 = 1.3;

pub(crate) fn figure(runtime: &Runtime, backend: Backend) -> Result<Figure> {
    let (for_host, for_native) = (directory()?, directory()?);
    let anvil = Anvil::start();
    let url = anvil.ws_url();
    let mut host = Host::start(runtime, backend, for_host.path(), MODULES, WORK, Some(&url))?;
    let mut native = Native::start(runtime, backend, for_native.path(), MODULES, &url)?;
    let (host, native) = medians(WARM_UP, SAMPLES, || -> Result<(f64, f64)> {
        let (start, written) = host.sample(1)?;
        let last = written.last().ok_or("nothing was written")?.at;
        Ok(((last - start).as_secs_f64() * 1e3, native.sample()?.as_secs_f64() * 1e3))
    })?;
    let name = format!("block to {MODULES} modules, 2 requests and 2 writes each, {backend}");
    Ok(Figure::new(name, "ms", host, native).at_most_times_baseline(TIMES_NATIVE))
}
