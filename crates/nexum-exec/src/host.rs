//! The state of a command's store.

use std::sync::Arc;

use nexum_core::Capture;
use nexum_core::engine::Limiter;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use crate::dir::Dir;
use crate::error::LoadError;
use crate::limits::Limits;
use crate::network::Network;

/// The most concurrent resources of a command, such as files, sockets and streams: four times a
/// process's usual limit of open files, because one file often needs several resources.
const RESOURCES_MAX: usize = 4_096;

/// A command's access to the host, apart from the network.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) dirs: Vec<Dir>,
    pub(crate) limits: Limits,
    /// None: the process's own.
    pub(crate) stdout: Option<Capture>,
    /// None: the process's own.
    pub(crate) stderr: Option<Capture>,
}

/// The state of a store. The state of preview 1 serves preview 2 as well.
pub(crate) struct Host {
    pub(crate) wasi: WasiP1Ctx,
    pub(crate) network: Arc<Network>,
    pub(crate) limiter: Limiter,
}

impl Host {
    /// Opens the directories. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// If a directory cannot be opened.
    pub(crate) fn new(access: &Access, network: Network) -> Result<Self, LoadError> {
        let mut builder = WasiCtx::builder();
        builder.inherit_stdio().args(&access.args).envs(&access.env);
        if let Some(capture) = &access.stdout {
            builder.stdout(capture.stream());
        }
        if let Some(capture) = &access.stderr {
            builder.stderr(capture.stream());
        }
        for dir in &access.dirs {
            let permissions = if dir.is_read_only {
                FsPerms::ReadOnly
            } else {
                FsPerms::ReadWrite
            };
            let opened = builder.preopened_dir(&dir.host, &dir.guest, permissions);
            opened.map_err(|source| LoadError::Dir {
                path: dir.host.clone(),
                source,
            })?;
        }
        let network = Arc::new(network);
        let allowed = network.clone();
        builder
            .allow_udp(false)
            .allow_tcp(!network.is_empty())
            .allow_ip_name_lookup(false)
            .socket_addr_check(move |address, what| {
                let allowed = allowed.allows(address.ip(), address.port(), what);
                Box::pin(async move { allowed })
            });
        let mut host = Self {
            wasi: builder.build_p1(),
            network,
            limiter: Limiter::new(access.limits.of_store()),
        };
        host.ctx().table.set_max_capacity(RESOURCES_MAX);
        Ok(host)
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}
