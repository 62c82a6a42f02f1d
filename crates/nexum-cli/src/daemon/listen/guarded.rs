//! A body of a response with something that lasts as long as the body.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};

/// A value that a body keeps until it is dropped, and that can end the body early.
pub(crate) trait Guard: Unpin {
    /// The reason why the body fails now.
    fn poll_failure(&mut self, _context: &mut Context<'_>) -> Poll<axum::Error> {
        Poll::Pending
    }
}

/// A body with its guard.
pub(crate) struct Guarded<G> {
    body: Body,
    guard: G,
}

impl<G> Guarded<G> {
    pub(crate) fn new(body: Body, guard: G) -> Self {
        Self { body, guard }
    }
}

impl<G: Guard> hyper::body::Body for Guarded<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(error) = self.guard.poll_failure(context) {
            return Poll::Ready(Some(Err(error)));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
