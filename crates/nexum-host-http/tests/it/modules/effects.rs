//! The journal of effects, with a guest that writes to a server: what the server handles, and what the
//! module's state says about it.

mod attempts;
mod changes;
mod histories;
mod ledger;
mod moves;
mod reorganisations;
mod sends;
mod transcripts;
mod world;

use self::ledger::Treatment;
use self::world::{Settings, World};
