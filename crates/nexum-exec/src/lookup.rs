//! `wasi:sockets/ip-name-lookup` that answers from what was resolved before the command began.
//!
//! A guest that could look up any name could talk to whoever runs the name's server, through the names that it asks for.

use std::net::IpAddr;
use std::vec;

use async_trait::async_trait;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress};
use wasmtime_wasi::p2::{DynPollable, Network, Pollable, subscribe};

use crate::host::Host;

/// The interface, with the version that `wasmtime-wasi` serves: guests of every 0.2 get it.
const INTERFACE: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// The resource `resolve-address-stream`: what is left of an answer.
struct Answer(vec::IntoIter<IpAddr>);

#[async_trait]
impl Pollable for Answer {
    async fn ready(&mut self) {}
}

/// Puts it in the place of the one that asks the system's resolver.
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
