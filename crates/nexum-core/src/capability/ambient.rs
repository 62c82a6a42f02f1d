//! The capabilities that every module has: logging, clock, random, the context of a call, and WASI
//! without outside access.
//!
//! All of them use [`Seams`], so that a test controls the time and the random numbers.

mod clock;
mod context;
mod log_event;
mod logging;
mod random;
mod wasi;

use super::registry::Capabilities;
use crate::clock::Seams;

pub(crate) use clock::Clocks;
pub(crate) use context::Contexts;
pub(crate) use logging::Logging;
pub(crate) use random::Random;
pub(crate) use wasi::Wasi;

mod bindings {
    #![allow(missing_docs, reason = "generated from the WIT files, which carry the documentation")]

    wasmtime::component::bindgen!({
        path: "../../wit/nexum-host",
        inline: "
            package nexum:ambient;

            world ambient {
                import nexum:host/logging@0.2.0;
                import nexum:host/clock@0.2.0;
                import nexum:host/random@0.2.0;
            }
        ",
        world: "nexum:ambient/ambient",
        imports: { default: trappable },
    });

    /// The interface for trigger modules.
    pub(super) mod trigger {
        wasmtime::component::bindgen!({
            path: "../../wit/nexum-host-0.1",
            inline: "
                package nexum:ambient;

                world ambient {
                    import nexum:host/logging@0.1.0;
                }
            ",
            world: "nexum:ambient/ambient",
            imports: { default: trappable },
        });
    }
}

impl Capabilities {
    /// The capabilities of every build: logging, clock, random, the context of a call, and WASI
    /// without outside access.
    pub fn ambient(seams: Seams) -> Self {
        Self::none()
            .always(Logging)
            .always(Clocks::new(seams.clone()))
            .always(Random::new(seams.clone()))
            .always(Contexts)
            .always(Wasi::new(seams))
    }
}
