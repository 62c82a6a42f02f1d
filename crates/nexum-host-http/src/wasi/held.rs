//! The host's memory that a guest holds in resources.

use std::any::Any;

use http::HeaderMap;
use wasmtime_wasi_http::p2::bindings::http::types::{
    Fields, IncomingResponse, Method, OutgoingRequest, OutgoingResponse, Scheme,
};

use super::{BODY_PART_BYTES_MAX, BODY_PARTS_MAX, Guest};
use crate::state::WASI_HELD_BYTES_MAX;

/// The bytes of a header besides its name and value.
const HEADER_BYTES: usize = 72;

/// The bytes of a body that a guest writes before it hands the request over. wasmtime adds a part.
pub(super) const BODY_BYTES: usize = (BODY_PARTS_MAX + 1) * BODY_PART_BYTES_MAX;

impl Guest<'_> {
    /// Begins a call that may leave this many bytes in the host's memory. Draws the call and the
    /// bytes on the event's fuel.
    ///
    /// Adding is cheap and counting is not. So the host counts the bytes only when the guest may have
    /// added as many as the bound.
    ///
    /// # Errors
    ///
    /// The trap of a guest that exceeds the fuel or [`WASI_HELD_BYTES_MAX`].
    pub(super) fn begin(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.0.spend_call(bytes)?;
        let held = &mut self.0.state.held;
        *held = held.saturating_add(bytes);
        if *held > 2 * WASI_HELD_BYTES_MAX {
            let counted: usize = self.0.table.iter_mut().map(|resource| held_by(&*resource)).sum();
            *held = counted.saturating_add(bytes);
            if *held > WASI_HELD_BYTES_MAX {
                wasmtime::bail!("the headers and bodies of wasi:http take more than {WASI_HELD_BYTES_MAX} bytes");
            }
        }
        Ok(())
    }
}

/// The bytes of one header.
pub(super) fn header_bytes(name: &str, value: &[u8]) -> usize {
    name.len() + value.len() + HEADER_BYTES
}

/// The bytes of a part of a request's address.
pub(super) fn text_bytes(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

/// The bytes of a method that has no name of its own in the interface.
pub(super) fn method_bytes(method: &Method) -> usize {
    match method {
        Method::Other(name) => name.len(),
        _ => 0,
    }
}

/// The bytes of a scheme that has no name of its own in the interface.
pub(super) fn scheme_bytes(scheme: Option<&Scheme>) -> usize {
    match scheme {
        Some(Scheme::Other(name)) => name.len(),
        _ => 0,
    }
}

fn held_by(resource: &dyn Any) -> usize {
    let body = |is_open: bool| if is_open { BODY_BYTES } else { 0 };
    if let Some(fields) = resource.downcast_ref::<Fields>() {
        headers_bytes(fields)
    } else if let Some(request) = resource.downcast_ref::<OutgoingRequest>() {
        let texts = text_bytes(request.path_with_query.as_ref()) + text_bytes(request.authority.as_ref());
        let line = method_bytes(&request.method) + scheme_bytes(request.scheme.as_ref()) + texts;
        line + headers_bytes(&request.headers) + body(request.body.is_some())
    } else if let Some(response) = resource.downcast_ref::<IncomingResponse>() {
        headers_bytes(&response.headers)
    } else if let Some(response) = resource.downcast_ref::<OutgoingResponse>() {
        headers_bytes(&response.headers) + body(response.body.is_some())
    } else {
        0
    }
}

fn headers_bytes(headers: &HeaderMap) -> usize {
    let bytes = |(name, value): (&http::HeaderName, &http::HeaderValue)| header_bytes(name.as_str(), value.as_bytes());
    headers.iter().map(bytes).sum()
}
