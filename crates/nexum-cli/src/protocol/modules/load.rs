//! The module of a load.

use std::path::PathBuf;

use nexum_config::engine::{self, ModuleConfig};
use nexum_config::names::{ModuleName, ModuleNameError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A module to load.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    /// The component's file, absolute.
    #[schema(value_type = String)]
    pub(crate) path: PathBuf,
    /// The manifest's file, absolute, if it is not beside the component.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) manifest: Option<PathBuf>,
    /// A name that overrides the manifest's.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The modules whose state its queries may read.
    #[serde(default)]
    pub(crate) reads: Vec<String>,
    #[serde(default)]
    pub(crate) metering: Metering,
}

/// The limit that ends an endless computation.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metering {
    /// Fuel, which the module uses up as it computes, and then the deadline.
    #[default]
    Fuel,
    /// Only the deadline.
    Epoch,
}

impl From<Metering> for engine::Metering {
    fn from(metering: Metering) -> Self {
        match metering {
            Metering::Fuel => Self::Fuel,
            Metering::Epoch => Self::Epoch,
        }
    }
}

impl From<engine::Metering> for Metering {
    fn from(metering: engine::Metering) -> Self {
        match metering {
            engine::Metering::Fuel => Self::Fuel,
            engine::Metering::Epoch => Self::Epoch,
        }
    }
}

impl Load {
    /// # Errors
    ///
    /// If a name is not valid.
    pub(crate) fn config(self) -> Result<ModuleConfig, ModuleNameError> {
        let name: Option<ModuleName> = self.name.map(|name| name.parse()).transpose()?;
        let reads: Result<Vec<ModuleName>, _> = self.reads.iter().map(|name| name.parse()).collect();
        Ok(ModuleConfig {
            manifest: self.manifest.map(Into::into),
            name,
            metering: self.metering.into(),
            reads: reads?,
            ..ModuleConfig::new(self.path)
        })
    }
}
