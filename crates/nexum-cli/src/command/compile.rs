//! `nexum compile`: compiles one component in a limited process.

use std::fs;

use nexum_core::engine::{COMPILE_MEMORY_BYTES_MAX, compile_in_child};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::Compile;
use crate::report::{Refusal, Refusals};

/// The Linux file with the priority with which the system ends this process when memory is short.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// Compiles the component on stdin into the cache. Returns the exit code.
///
/// # Errors
///
/// If the process cannot be limited.
pub(crate) fn compile(args: &Compile) -> Result<u8, Refusals> {
    limit(Resource::Data, COMPILE_MEMORY_BYTES_MAX)?;
    limit(Resource::Core, 0)?;
    // Systems without this file choose the largest process.
    let _ = fs::write(OOM_SCORE, "1000");
    Ok(compile_in_child(&args.cache, &args.metering))
}

/// Sets a limit of this process, unless its limit is lower already. `Resource::Data` counts
/// writable memory. A limit of the address space would also count memory that allocators and thread
/// stacks only reserve.
fn limit(resource: Resource, bound: u64) -> Result<(), Refusal> {
    let bound = getrlimit(resource).maximum.map_or(bound, |maximum| maximum.min(bound));
    let limits = Rlimit {
        current: Some(bound),
        maximum: Some(bound),
    };
    setrlimit(resource, limits).map_err(|error| Refusal::of(&error))
}
