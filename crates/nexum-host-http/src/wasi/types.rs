//! `wasi:http/types`: wasmtime's resources. Each call draws on the event's fuel, and a response on
//! the event's bytes.

use nexum_config::limits::Limit;
use nexum_core::capability::View;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};
use wasmtime_wasi_http::WasiHttpCtxView;
use wasmtime_wasi_http::p2::bindings::http::types;
use wasmtime_wasi_http::p2::bindings::http::types::{
    Duration, ErrorCode, Fields, FutureIncomingResponse, FutureTrailers, IncomingBody, IncomingRequest,
    IncomingResponse, IoError, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions,
    ResponseOutparam, Scheme, StatusCode,
};
use wasmtime_wasi_http::p2::{HeaderError, HeaderResult, HttpError, HttpResult};

use super::held::{BODY_BYTES, header_bytes, method_bytes, scheme_bytes, text_bytes};
use super::outgoing::AnswerBytes;
use super::{Guest, Rules};
use crate::state::{HttpState, WASI_FIELDS_BYTES_MAX};

impl types::Host for Guest<'_> {
    fn convert_error_code(&mut self, error: HttpError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn convert_header_error(&mut self, error: HeaderError) -> wasmtime::Result<types::HeaderError> {
        error.downcast()
    }

    fn http_error_code(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        self.begin(0)?;
        let mut rules = Rules::OF_REQUEST;
        types::Host::http_error_code(&mut wasmtimes(&mut self.0, &mut rules), error)
    }
}

impl types::HostFutureIncomingResponse for Guest<'_> {
    /// Spends the bytes of the response when the guest takes it. The guest sees all of its headers.
    fn get(
        &mut self,
        future: Resource<FutureIncomingResponse>,
    ) -> wasmtime::Result<Option<Result<Result<Resource<IncomingResponse>, ErrorCode>, ()>>> {
        let answered = match self.0.table.get(&future)? {
            FutureIncomingResponse::Ready(Ok((response, _))) => response.extensions().get::<AnswerBytes>().copied(),
            _ => None,
        };
        self.begin(answered.map_or(0, |_| WASI_FIELDS_BYTES_MAX))?;
        if let Some(AnswerBytes(bytes)) = answered {
            self.0.scope.spend(Limit::ResponseBytes, bytes)?;
        }
        let mut rules = Rules::OF_RESPONSE;
        types::HostFutureIncomingResponse::get(&mut wasmtimes(&mut self.0, &mut rules), future)
    }

    fn subscribe(&mut self, future: Resource<FutureIncomingResponse>) -> wasmtime::Result<Resource<DynPollable>> {
        self.begin(0)?;
        let mut rules = Rules::OF_REQUEST;
        types::HostFutureIncomingResponse::subscribe(&mut wasmtimes(&mut self.0, &mut rules), future)
    }

    fn drop(&mut self, future: Resource<FutureIncomingResponse>) -> wasmtime::Result<()> {
        self.0.table.delete(future)?;
        Ok(())
    }
}

/// wasmtime's implementation of all interfaces, on the state of an instance.
fn wasmtimes<'a>(view: &'a mut View<'_, HttpState>, rules: &'a mut Rules) -> WasiHttpCtxView<'a> {
    WasiHttpCtxView {
        hooks: rules,
        table: view.table,
        ctx: &mut view.state.wasi,
    }
}

/// An error that can carry a trap.
trait Trap {
    fn trap(error: wasmtime::Error) -> Self;
}

impl Trap for wasmtime::Error {
    fn trap(error: wasmtime::Error) -> Self {
        error
    }
}

impl Trap for HeaderError {
    fn trap(error: wasmtime::Error) -> Self {
        Self::trap(error)
    }
}

impl Trap for HttpError {
    fn trap(error: wasmtime::Error) -> Self {
        Self::trap(error)
    }
}

/// Implements the functions of resources: each [begins](Guest::begin) a call that may leave the bytes
/// after `=>` in the host's memory, and then calls wasmtime's implementation.
macro_rules! pass_on {
    (@bytes) => { 0 };
    (@bytes $bytes:expr) => { $bytes };
    ($($resource:ident { $(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $(=> $bytes:expr)?;)* })*) => {$(
        impl types::$resource for Guest<'_> {
            $(fn $name(&mut self, $($argument: $type),*) -> $result {
                if let Err(error) = self.begin(pass_on!(@bytes $($bytes)?)) {
                    return Err(Trap::trap(error));
                }
                let mut rules = Rules::OF_REQUEST;
                types::$resource::$name(&mut wasmtimes(&mut self.0, &mut rules), $($argument),*)
            })*
        }
    )*};
}

/// A result of a function that fails without a reason.
type Refusable<T> = wasmtime::Result<Result<T, ()>>;

pass_on! {
    HostFields {
        fn new() -> wasmtime::Result<Resource<Fields>>;
        fn from_list(entries: Vec<(String, Vec<u8>)>) -> HeaderResult<Resource<Fields>>
            => entries.iter().map(|(name, value)| header_bytes(name, value)).sum::<usize>();
        fn get(fields: Resource<Fields>, name: String) -> wasmtime::Result<Vec<Vec<u8>>>;
        fn has(fields: Resource<Fields>, name: String) -> wasmtime::Result<bool>;
        fn set(fields: Resource<Fields>, name: String, values: Vec<Vec<u8>>) -> HeaderResult<()>
            => values.iter().map(|value| header_bytes(&name, value)).sum::<usize>();
        fn delete(fields: Resource<Fields>, name: String) -> HeaderResult<()>;
        fn append(fields: Resource<Fields>, name: String, value: Vec<u8>) -> HeaderResult<()>
            => header_bytes(&name, &value);
        fn entries(fields: Resource<Fields>) -> wasmtime::Result<Vec<(String, Vec<u8>)>>;
        fn clone(fields: Resource<Fields>) -> wasmtime::Result<Resource<Fields>> => WASI_FIELDS_BYTES_MAX;
        fn drop(fields: Resource<Fields>) -> wasmtime::Result<()>;
    }
    HostOutgoingRequest {
        fn new(headers: Resource<Fields>) -> wasmtime::Result<Resource<OutgoingRequest>>;
        fn body(request: Resource<OutgoingRequest>) -> Refusable<Resource<OutgoingBody>> => BODY_BYTES;
        fn method(request: Resource<OutgoingRequest>) -> wasmtime::Result<Method>;
        fn set_method(request: Resource<OutgoingRequest>, method: Method) -> Refusable<()> => method_bytes(&method);
        fn path_with_query(request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<String>>;
        fn set_path_with_query(request: Resource<OutgoingRequest>, path: Option<String>) -> Refusable<()>
            => text_bytes(path.as_ref());
        fn scheme(request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<Scheme>>;
        fn set_scheme(request: Resource<OutgoingRequest>, scheme: Option<Scheme>) -> Refusable<()>
            => scheme_bytes(scheme.as_ref());
        fn authority(request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<String>>;
        fn set_authority(request: Resource<OutgoingRequest>, authority: Option<String>) -> Refusable<()>
            => text_bytes(authority.as_ref());
        fn headers(request: Resource<OutgoingRequest>) -> wasmtime::Result<Resource<Fields>>;
        fn drop(request: Resource<OutgoingRequest>) -> wasmtime::Result<()>;
    }
    HostRequestOptions {
        fn new() -> wasmtime::Result<Resource<RequestOptions>>;
        fn connect_timeout(options: Resource<RequestOptions>) -> wasmtime::Result<Option<Duration>>;
        fn set_connect_timeout(options: Resource<RequestOptions>, timeout: Option<Duration>) -> Refusable<()>;
        fn first_byte_timeout(options: Resource<RequestOptions>) -> wasmtime::Result<Option<Duration>>;
        fn set_first_byte_timeout(options: Resource<RequestOptions>, timeout: Option<Duration>) -> Refusable<()>;
        fn between_bytes_timeout(options: Resource<RequestOptions>) -> wasmtime::Result<Option<Duration>>;
        fn set_between_bytes_timeout(options: Resource<RequestOptions>, timeout: Option<Duration>) -> Refusable<()>;
        fn drop(options: Resource<RequestOptions>) -> wasmtime::Result<()>;
    }
    HostOutgoingBody {
        fn write(body: Resource<OutgoingBody>) -> Refusable<Resource<DynOutputStream>>;
        fn finish(body: Resource<OutgoingBody>, trailers: Option<Resource<Fields>>) -> HttpResult<()>;
        fn drop(body: Resource<OutgoingBody>) -> wasmtime::Result<()>;
    }
    HostIncomingResponse {
        fn status(response: Resource<IncomingResponse>) -> wasmtime::Result<StatusCode>;
        fn headers(response: Resource<IncomingResponse>) -> wasmtime::Result<Resource<Fields>>;
        fn consume(response: Resource<IncomingResponse>) -> Refusable<Resource<IncomingBody>>;
        fn drop(response: Resource<IncomingResponse>) -> wasmtime::Result<()>;
    }
    HostIncomingBody {
        fn stream(body: Resource<IncomingBody>) -> Refusable<Resource<DynInputStream>>;
        fn finish(body: Resource<IncomingBody>) -> wasmtime::Result<Resource<FutureTrailers>>;
        fn drop(body: Resource<IncomingBody>) -> wasmtime::Result<()>;
    }
    HostFutureTrailers {
        fn subscribe(trailers: Resource<FutureTrailers>) -> wasmtime::Result<Resource<DynPollable>>;
        fn get(
            trailers: Resource<FutureTrailers>
        ) -> wasmtime::Result<Option<Result<Result<Option<Resource<Fields>>, ErrorCode>, ()>>>;
        fn drop(trailers: Resource<FutureTrailers>) -> wasmtime::Result<()>;
    }
    // A guest cannot serve requests, so these have no use to it.
    HostIncomingRequest {
        fn method(request: Resource<IncomingRequest>) -> wasmtime::Result<Method>;
        fn path_with_query(request: Resource<IncomingRequest>) -> wasmtime::Result<Option<String>>;
        fn scheme(request: Resource<IncomingRequest>) -> wasmtime::Result<Option<Scheme>>;
        fn authority(request: Resource<IncomingRequest>) -> wasmtime::Result<Option<String>>;
        fn headers(request: Resource<IncomingRequest>) -> wasmtime::Result<Resource<Fields>>;
        fn consume(request: Resource<IncomingRequest>) -> Refusable<Resource<IncomingBody>>;
        fn drop(request: Resource<IncomingRequest>) -> wasmtime::Result<()>;
    }
    HostOutgoingResponse {
        fn new(headers: Resource<Fields>) -> wasmtime::Result<Resource<OutgoingResponse>>;
        fn status_code(response: Resource<OutgoingResponse>) -> wasmtime::Result<StatusCode>;
        fn set_status_code(response: Resource<OutgoingResponse>, status: StatusCode) -> Refusable<()>;
        fn headers(response: Resource<OutgoingResponse>) -> wasmtime::Result<Resource<Fields>>;
        fn body(response: Resource<OutgoingResponse>) -> Refusable<Resource<OutgoingBody>> => BODY_BYTES;
        fn drop(response: Resource<OutgoingResponse>) -> wasmtime::Result<()>;
    }
    HostResponseOutparam {
        fn set(
            outparam: Resource<ResponseOutparam>,
            response: Result<Resource<OutgoingResponse>, ErrorCode>
        ) -> wasmtime::Result<()>;
        fn send_informational(outparam: Resource<ResponseOutparam>, status: u16, headers: Resource<Fields>) -> HttpResult<()>;
        fn drop(outparam: Resource<ResponseOutparam>) -> wasmtime::Result<()>;
    }
}
