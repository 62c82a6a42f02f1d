//! The circumstances of a command: its giver and its time.

use std::convert::Infallible;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use nexum_core::clock::{Clock as _, SystemClock};
use nexum_core::state::{Act, Actor};

use crate::daemon::peer::Peer;

/// The giver of a command, its time and its reason: an argument of a handler that changes the operator's
/// row of a module.
pub(super) struct Acting(pub(super) Act);

impl<S: Send + Sync> FromRequestParts<S> for Acting {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        let uid = peer.and_then(|ConnectInfo(peer)| peer.uid);
        Ok(Self(Act {
            by: uid.map_or(Actor::Unknown, Actor::User),
            at_ms: SystemClock::new().now_ms(),
            reason: None,
        }))
    }
}
