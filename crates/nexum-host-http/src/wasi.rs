//! `wasi:http`: the resources are wasmtime's, and a request is a fetch of the module's
//! [`Fetcher`](crate::Fetcher).

mod error;
mod held;
mod outgoing;
mod types;

use std::sync::Arc;

use http::HeaderName;
use http::header::CONTENT_LENGTH;
use nexum_core::capability::{Capability, HostState, View};
use wasmtime::component::{HasData, Linker};
use wasmtime_wasi_http::p2::bindings::{LinkOptions, http as wasi};
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use crate::request::is_refused;
use crate::state::HttpState;

/// The largest part of a request's body, in bytes: as much as one blocking write of a guest sends.
const BODY_PART_BYTES_MAX: usize = 4_096;

/// The most parts of a body that a guest can write before it hands the request over: 64 KiB. After
/// that, the host takes each part at once.
const BODY_PARTS_MAX: usize = 16;

/// The arguments of the host functions of `wasi:http`.
struct Guest<'a>(View<'a, HttpState>);

struct HasGuest;

impl HasData for HasGuest {
    type Data<'a> = Guest<'a>;
}

/// Adds `wasi:http/outgoing-handler` and `wasi:http/types` to a linker, with the state of this
/// capability.
pub(crate) fn link<C: Capability<State = HttpState>>(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasi::outgoing_handler::add_to_linker::<_, HasGuest>(linker, guest::<C>)?;
    wasi::types::add_to_linker::<_, HasGuest>(linker, &LinkOptions::default().into(), guest::<C>)
}

fn guest<C: Capability<State = HttpState>>(host: &mut HostState) -> Guest<'_> {
    Guest(host.view::<C>())
}

/// The headers that a guest cannot put into a `fields`, or that it cannot see in one.
struct Rules(fn(&HeaderName) -> bool);

impl Rules {
    /// The headers that `nexum:host/http` refuses, except `content-length`: the libraries of some
    /// languages always set it. The host compares it with the body, and does not send it.
    const OF_REQUEST: Self = Self(|name| *name != CONTENT_LENGTH && is_refused(name));

    /// A guest sees all headers of a response.
    const OF_RESPONSE: Self = Self(|_| false);
}

impl WasiHttpHooks for Rules {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        (self.0)(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(self.0)
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        BODY_PARTS_MAX
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_PART_BYTES_MAX
    }

    /// Never called: [`Guest`] sends requests itself.
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(async { Err(Error::InternalError(None)) })
    }
}

/// The result of wasmtime's own client.
type Sent = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);
