//! The files of a run: the configuration, the manifests, the keys, the log and the state.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use serde_json::Value;

use super::super::{
    expected::Kept,
    site::{parse, quote},
};
use crate::{anvil::CHAIN_ID, paths, process};

/// The chain that takes the transactions.
pub(super) const PAID_CHAIN: u64 = 137;

/// The accounts of every anvil, with their keystores.
pub(super) const ACCOUNTS: [(&str, &str); 2] = [
    (
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        include_str!("../../../../crates/nexum-testing/src/accounts/first.json"),
    ),
    (
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        include_str!("../../../../crates/nexum-testing/src/accounts/second.json"),
    ),
];

/// The password of the keystores.
const PASSWORD: &str = "correct horse";

/// A module that pays with transactions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payer {
    pub(super) name: &'static str,
    pub(super) account: usize,
    /// The receiver, in lower case.
    pub(super) to: &'static str,
}

/// Four payers, two for each account.
pub(super) const PAYERS: [Payer; 4] = [
    Payer {
        name: "payer-a",
        account: 0,
        to: "0x00000000000000000000000000000000000000a1",
    },
    Payer {
        name: "payer-b",
        account: 1,
        to: "0x00000000000000000000000000000000000000b1",
    },
    Payer {
        name: "payer-c",
        account: 0,
        to: "0x00000000000000000000000000000000000000c1",
    },
    Payer {
        name: "payer-d",
        account: 1,
        to: "0x00000000000000000000000000000000000000d1",
    },
];

/// The modules that send HTTP requests: the name, and the method. The path is the name and the block's number.
pub(super) const CALLERS: [(&str, &str); 3] = [("keyed", "POST"), ("once", "POST"), ("put", "PUT")];

/// The directory of a run.
#[derive(Debug)]
pub(super) struct Site {
    directory: PathBuf,
    programs: PathBuf,
}

impl Site {
    /// Creates the directory for these addresses of chains and of the receiver, and deletes an older one.
    pub(super) fn new(programs: &Path, events_url: &str, paid: &str, shop: &str) -> Result<Self> {
        let directory = paths::root().join("target/torture/effects");
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        let site = Self {
            directory,
            programs: programs.to_owned(),
        };
        fs::write(site.directory.join("password"), PASSWORD)?;
        for (index, (_, keystore)) in ACCOUNTS.iter().enumerate() {
            fs::write(site.directory.join(format!("key{index}.json")), keystore)?;
        }
        for (name, manifest) in manifests(shop) {
            fs::write(site.manifest(name), manifest)?;
        }
        fs::write(site.config(), site.engine_toml(events_url, paid, shop))?;
        Ok(site)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn program(&self) -> PathBuf {
        self.programs.join("nexum")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.directory.join("engine.toml")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("nexum.log")
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn manifest(&self, module: &str) -> PathBuf {
        self.directory.join(format!("{module}.toml"))
    }

    /// Reads the state of the modules that send HTTP requests. nexum must not run.
    pub(super) fn kept(&self) -> Result<Kept> {
        let mut read = Command::new(self.programs.join("examples/kept"));
        read.arg("redb").arg(self.state()).args(CALLERS.map(|(name, _)| name));
        parse(&process::output(&mut read)?)
    }

    /// The JSON that a command of nexum prints.
    pub(super) fn json(&self, args: &[&str]) -> Result<Value> {
        let mut command = Command::new(self.program());
        command
            .args(args)
            .args(["--format", "json", "--config"])
            .arg(self.config());
        Ok(serde_json::from_str(&process::output(&mut command)?)?)
    }

    fn engine_toml(&self, events_url: &str, paid: &str, shop: &str) -> String {
        let accounts = ACCOUNTS.iter().enumerate().map(|(index, (address, _))| {
            format!(
                "\n[accounts.account{index}]\naddress = \"{address}\"\n\
                 signer = {{ keystore = \"key{index}.json\", password_file = \"password\" }}\n"
            )
        });
        let rules = PAYERS.iter().map(|Payer { name, account, to }| {
            format!(
                "\n[identity.{name}.account{account}]\n\
                 send = [{{ chain = {PAID_CHAIN}, to = \"{to}\", max_value = \"1\" }}]\n\
                 limits = {{ max_fee_gwei = 1000, fee_per_day = \"1000\", value_per_day = \"1000\", per_hour = 100000, in_flight = 100000 }}\n"
            )
        });
        let module = |name: &str, guest: &str| {
            let component = paths::built_modules().join(guest).join(format!("{guest}.wasm"));
            let (component, manifest) = (quote(&component), quote(&self.manifest(name)));
            format!("\n[[modules]]\nname = \"{name}\"\npath = {component}\nmanifest = {manifest}\n")
        };
        let payers = PAYERS.iter().map(|payer| module(payer.name, "payer"));
        let callers = CALLERS.iter().map(|(name, _)| module(name, "effects"));
        format!(
            "[engine]\nstate_dir = {state}\nlog_level = \"info,nexum::event=debug\"\nlog_format = \"json\"\n\
             [engine.restart]\nattempts_max = 20\nbackoff_ms = 5\nbackoff_max_ms = 200\nmax_consecutive_failures = 1000\n\
             [store]\nbackend = \"redb\"\n\
             [http]\nallow = [\"{shop}\"]\nallow_http = [\"{shop}\"]\nallow_private = [\"{shop}\"]\n\
             [chains.{CHAIN_ID}]\nrpc_url = \"{events_url}\"\npoll_interval_ms = 20\n\
             [chains.{PAID_CHAIN}]\nrpc_url = \"http://{paid}\"\npoll_interval_ms = 20\n{}{}{}{}",
            accounts.collect::<String>(),
            rules.collect::<String>(),
            payers.collect::<String>(),
            callers.collect::<String>(),
            state = quote(&self.state()),
        )
    }

    /// Deletes all files after a successful run.
    pub(super) fn remove(&self) -> Result<()> {
        Ok(fs::remove_dir_all(&self.directory)?)
    }
}

/// The manifest of each module. All modules have the blocks of the first chain from block 1 on.
fn manifests(shop: &str) -> Vec<(&'static str, String)> {
    let blocks = format!("[[subscription]]\nkind = \"block\"\nchain_id = {CHAIN_ID}\nfrom_block = 1\n");
    let payer = |Payer { name, account, to }: &Payer| {
        let (from, _) = ACCOUNTS[*account];
        let config = format!(
            "[config]\nfrom = \"{from}\"\nto = \"{to}\"\nchain = \"{PAID_CHAIN}\"\nthen = \"fail\"\nerrors = \"fail\"\n"
        );
        (
            *name,
            format!("[capabilities]\nrequired = [\"chain\"]\n{blocks}{config}"),
        )
    };
    let caller = |(name, method): &(&'static str, &str)| {
        let key = if *name == "keyed" { "key = \"k\"\n" } else { "" };
        let config = format!(
            "[config]\nbase = \"http://{shop}\"\nrequests = \"{method} /{name}/{{n}}\"\nverdict = \"/verdict/{name}/{{n}}\"\n{key}timeout_ms = \"2000\"\n"
        );
        let http =
            format!("[capabilities]\nrequired = [\"http\", \"store\"]\n[capabilities.http]\nallow = [\"{shop}\"]\n");
        (*name, format!("{http}{blocks}{config}"))
    };
    PAYERS.iter().map(payer).chain(CALLERS.iter().map(caller)).collect()
}
