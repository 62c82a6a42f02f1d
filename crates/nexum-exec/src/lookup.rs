//! `wasi:sockets/ip-name-lookup` with the addresses resolved before the command started.
//!
//! A guest that can look up any name can leak data through DNS: it can encode data in the name it
//! looks up.

use std::net::IpAddr;
use std::vec;

use async_trait::async_trait;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress};
use wasmtime_wasi::p2::{DynPollable, Network, Pollable, subscribe};

use crate::host::Host;

/// The interface, with the version that `wasmtime-wasi` serves. It serves guests of every 0.2
/// release.
const INTERFACE: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// The resource `resolve-address-stream`: the remaining addresses of a lookup.
struct Answer(vec::IntoIter<IpAddr>);

#[async_trait]
impl Pollable for Answer {
    async fn ready(&mut self) {}
}

/// Replaces the implementation that uses the system's resolver.
pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource(
        "resolve-address-stream",
        ResourceType::host::<Answer>(),
        |mut store, rep| {
            let table = store.data_mut().ctx().table;
            table.delete(Resource::<Answer>::new_own(rep))?;
            Ok(())
        },
    )?;
    interface.func_wrap(
        "resolve-addresses",
        |mut store, (_, name): (Resource<Network>, String)| {
            let host = store.data_mut();
            let Some(addresses) = host.network.addresses(&name) else {
                return Ok((Err(ErrorCode::AccessDenied),));
            };
            let answer = host.ctx().table.push(Answer(addresses.into_iter()))?;
            Ok((Ok::<Resource<Answer>, _>(answer),))
        },
    )?;
    interface.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store, (answer,): (Resource<Answer>,)| {
            let answer = store.data_mut().ctx().table.get_mut(&answer)?;
            Ok((Ok::<_, ErrorCode>(answer.0.next().map(IpAddress::from)),))
        },
    )?;
    interface.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store, (answer,): (Resource<Answer>,)| -> wasmtime::Result<(Resource<DynPollable>,)> {
            Ok((subscribe(store.data_mut().ctx().table, answer)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}
