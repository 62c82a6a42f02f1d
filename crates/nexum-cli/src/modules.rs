//! From the command line to a host: the code that `run` and `check` share.

use nexum_config::document::{ConfigError, ConfigErrors};
use nexum_config::engine::{Config, ModuleConfig};
use nexum_core::HostBuilder;
use nexum_core::clock::Seams;
use nexum_store::StoreConfig;
use nexum_store::cluster::ClusterConfig;

use crate::args::Files;
use crate::compiler::compiler;
use crate::compose::{ChainsInUse, Composition, Fact, KnownAccounts, TransactionsInUse, compose};
use crate::configure::{
    Admin, AdminConfig, ConfigFile, Configuration, Filter, LedgerConfig, LogFormat, MetricsConfig, NotifyConfig,
    QueryConfig, TracesConfig, configure_all, level_variables, read, wanted,
};
use crate::contract::NOTIFY_SECTION;
use crate::report::{Refusal, Refusals};

/// The directory of compiled components, in the state directory.
const CACHE_DIR: &str = "cache";

/// The parts that exist before nexum reads a module.
pub(crate) struct Plan {
    /// The file of the configuration.
    pub(crate) file: ConfigFile,
    pub(crate) config: Config,
    /// The records that the log shows.
    pub(crate) filter: Filter,
    pub(crate) log_format: LogFormat,
    pub(crate) metrics: MetricsConfig,
    pub(crate) queries: QueryConfig,
    /// The TCP port for commands, if the operator configured one.
    pub(crate) admin: Option<Admin>,
    pub(crate) notify: NotifyConfig,
    pub(crate) store: StoreConfig,
    /// This process as a node of an installation. `None` if it runs all modules.
    pub(crate) cluster: Option<ClusterConfig>,
    pub(crate) ledger: LedgerConfig,
    /// Where traces go. `None` if they are not exported.
    pub(crate) traces: Option<TracesConfig>,
    /// The host, with every part except the store.
    pub(crate) host: HostBuilder,
    /// The refusal of a plan that has no module.
    pub(crate) no_modules: Option<Refusal>,
    /// The facts that an operator can compare with other sources.
    pub(crate) facts: Vec<Fact>,
    /// The chains, for a reload.
    pub(crate) chains: ChainsInUse,
    /// The accounts and their transactions, for the operator.
    pub(crate) accounts: KnownAccounts,
    pub(crate) transactions: TransactionsInUse,
    /// The modules to run.
    pub(crate) modules: Vec<ModuleConfig>,
    /// Warnings about the command line and the configuration.
    pub(crate) warnings: Vec<String>,
    /// Every error of the configuration. If there are any, the other parts have defaults for the
    /// faulty ones, and serve only to find the errors of the modules.
    pub(crate) errors: Refusals,
}

/// The command line and the configuration, before nexum makes parts of them.
pub(crate) struct Settings {
    files: Files,
    configuration: Configuration,
    errors: Vec<ConfigError>,
}

impl Settings {
    /// Reads the configuration that the command line names.
    ///
    /// # Errors
    ///
    /// If the configuration is unreadable or not TOML.
    pub(crate) fn read(files: Files) -> Result<Self, Refusals> {
        let mut errors = Vec::new();
        let configuration = configure_all(files.config.as_deref(), &mut errors)?;
        Ok(Self {
            files,
            configuration,
            errors,
        })
    }

    /// The port for metrics. The recorder must be installed before [`Settings::plan`]: the parts of
    /// a host keep their counters from then on.
    pub(crate) fn metrics(&self) -> &MetricsConfig {
        &self.configuration.metrics
    }

    /// Puts the build's capabilities and the configuration together.
    pub(crate) fn plan(self) -> Plan {
        self.plan_with(Seams::system(), None)
    }

    /// A plan for this module alone, with this time and entropy.
    pub(crate) fn plan_alone(self, module: ModuleConfig, seams: Seams) -> Plan {
        self.plan_with(seams, Some(module))
    }

    fn plan_with(self, seams: Seams, alone: Option<ModuleConfig>) -> Plan {
        let Self {
            files,
            configuration,
            mut errors,
        } = self;
        let Configuration {
            file,
            config,
            log,
            metrics,
            notices,
        } = configuration;
        let Composition {
            host,
            store,
            cluster,
            ledger,
            warnings,
            facts,
            chains,
            accounts,
            transactions,
            ..
        } = compose(&config, seams, &mut errors);
        let queries = QueryConfig::of(&config).unwrap_or_else(|found| {
            errors.extend(found);
            QueryConfig::default()
        });
        let notify = config.sections.get(NOTIFY_SECTION);
        let notify = read(notify, NotifyConfig::from_section, &mut errors);
        let mut others = Refusals::default();
        let admin = AdminConfig::of(&config).unwrap_or_else(|found| {
            errors.extend(found);
            AdminConfig::default()
        });
        let admin = admin.listen.map(Admin::open).transpose().unwrap_or_else(|refusal| {
            others.extend(refusal.into());
            None
        });
        let filter = Filter::of(level_variables(), &log, config.engine.as_ref(), &mut errors);
        let filter = filter.unwrap_or_else(|refusal| {
            others.extend(refusal.into());
            Filter::default()
        });
        let traces = TracesConfig::of_process().unwrap_or_else(|refusal| {
            others.extend(refusal.into());
            None
        });
        let wanted = alone.map_or_else(|| wanted(&config, &files, &errors), |module| Ok(vec![module]));
        let (modules, no_modules) = match wanted {
            Ok(modules) => (modules, None),
            Err(refusal) => (Vec::new(), Some(refusal)),
        };
        let host = host
            .limits(config.limits)
            .restart(config.restart)
            .query_bounds(config.query)
            .total_memory_bytes(config.total_memory_bytes)
            .pooling(config.pooling)
            .cache_dir(config.state_dir.join(CACHE_DIR))
            .private(config.state_dir.clone())
            .private(file.path())
            .compiler(compiler());
        let host = config.chains.keys().copied().fold(host, HostBuilder::expect_chain);
        Plan {
            file,
            host: modules.iter().cloned().fold(host, HostBuilder::module),
            modules,
            chains,
            accounts,
            transactions,
            config,
            filter,
            log_format: log.format,
            metrics,
            queries,
            admin,
            notify,
            store,
            cluster,
            ledger,
            traces,
            no_modules,
            facts,
            warnings: [files.notices, notices, warnings].concat(),
            errors: in_order(errors, others),
        }
    }
}

/// The errors of the configuration, in the order of the file, and then the others.
fn in_order(errors: Vec<ConfigError>, others: Refusals) -> Refusals {
    let mut all = ConfigErrors::check(errors)
        .err()
        .map(Refusals::from)
        .unwrap_or_default();
    all.extend(others);
    all
}
