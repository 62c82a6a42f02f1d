//! The circumstances of a command: its giver and its time.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use nexum_core::clock::{Clock as _, SystemClock};
use nexum_core::state::{Act, Actor};

use super::error::ApiError;
use crate::daemon::audit::{self, By};
use crate::daemon::peer::Peer;

/// The giver of a command, its time and its reason: an argument of a handler that changes the operator's
/// row of a module.
pub(super) struct Acting(pub(super) Act);

impl<S: Send + Sync> FromRequestParts<S> for Acting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let by = By::from_request_parts(parts, state).await?;
        Ok(Self(Act {
            by: match by.actor() {
                audit::Actor::Process(Peer { uid: Some(uid), .. }) => Actor::User(uid),
                audit::Actor::Token(_) => Actor::Token,
                audit::Actor::Process(_) | audit::Actor::Hangup | audit::Actor::Unknown => Actor::Unknown,
            },
            at_ms: SystemClock::new().now_ms(),
            reason: by.reason().map(str::to_owned),
        }))
    }
}
