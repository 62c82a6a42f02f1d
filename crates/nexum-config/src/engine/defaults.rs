//! The values that keys have without an entry in the file.

use super::{Pooling, SHUTDOWN_DEADLINE_MS, STATE_DIR};
use crate::document::{Defaults, toml_string};
use crate::limits::Limits;
use crate::query::QueryBounds;
use crate::restart::Restart;

impl super::Config {
    /// The keys that every program of nexum reads, by table, with their default values. A table in an
    /// array has `[]`.
    pub fn defaults() -> Vec<(&'static str, Defaults)> {
        let pooling = match Pooling::default() {
            Pooling::Auto => "auto",
            Pooling::Off => "off",
        };
        let engine = vec![
            ("state_dir", Some(toml_string(STATE_DIR))),
            ("pooling", Some(toml_string(pooling))),
            ("shutdown_deadline_ms", Some(SHUTDOWN_DEADLINE_MS.to_string())),
        ];
        let modules = vec![
            ("path", None),
            ("manifest", None),
            ("name", None),
            ("digest", None),
            ("metering", Some(toml_string("fuel"))),
            ("reads", Some("[]".to_owned())),
            ("enabled", Some("true".to_owned())),
        ];
        vec![
            ("engine", engine),
            ("engine.limits", Limits::defaults()),
            ("engine.restart", Restart::default().keys()),
            ("engine.query", QueryBounds::default().keys()),
            ("modules[]", modules),
        ]
    }
}
