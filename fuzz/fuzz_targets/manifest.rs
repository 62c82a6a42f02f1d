//! `nexum.toml`, from any bytes: never a panic, and what is accepted keeps to its rules.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nexum_config::document::ERRORS_MAX;
use nexum_config::limits::{Limit, Limits};
use nexum_config::manifest::{Manifest, SUBSCRIPTIONS_MAX};

fuzz_target!(|bytes: &[u8]| match Manifest::parse(Path::new("nexum.toml"), bytes) {
    Ok(manifest) => {
        let _ = format!("{manifest:?}");
        assert!(manifest.chains.required.is_disjoint(&manifest.chains.optional));
        assert!(manifest.subscriptions.len() <= SUBSCRIPTIONS_MAX);
        assert!(manifest.notices.iter().all(|notice| notice.starts_with("nexum.toml:")));
        let limits = Limits::default().min(&manifest.requested_limits);
        assert!(Limit::all().all(|limit| limits[limit] > 0));
    }
    Err(errors) => {
        assert!((1..=ERRORS_MAX).contains(&errors.iter().count()));
        let _ = format!("{errors} {errors:?}");
    }
});
