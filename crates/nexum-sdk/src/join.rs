//! Waits for many futures. `futures_util` has functions of these names, which give each of more than
//! 30 futures a waker of its own: that takes 1,000 units of fuel for each future, and 20 kB of code.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits until all futures are finished. Their requests are one batch. The results have the order of
/// the futures.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let futures = futures
        .into_iter()
        .map(|future| async { Ok::<_, std::convert::Infallible>(future.await) });
    match try_join_all(futures).await {
        Ok(results) => results,
    }
}

/// Waits until all futures have succeeded, or one has failed. Their requests are one batch. The
/// results have the order of the futures.
///
/// # Errors
///
/// The first failure.
pub async fn try_join_all<T, E, F>(futures: impl IntoIterator<Item = F>) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut all: Vec<_> = futures
        .into_iter()
        .map(|future| Joined::Running(Box::pin(future)))
        .collect();
    poll_fn(|context| poll_all(&mut all, context)).await?;
    let results = all.into_iter().filter_map(|joined| match joined {
        Joined::Finished(result) => Some(result),
        Joined::Running(_) => None,
    });
    Ok(results.collect())
}

enum Joined<F, T> {
    Running(Pin<Box<F>>),
    Finished(T),
}

/// Polls all futures that run. The handler has one waker, so that each of them may have been woken.
fn poll_all<T, E, F>(all: &mut [Joined<F, T>], context: &mut Context<'_>) -> Poll<Result<(), E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut poll = Poll::Ready(Ok(()));
    for joined in all {
        if let Joined::Running(future) = joined {
            match future.as_mut().poll(context) {
                Poll::Ready(result) => *joined = Joined::Finished(result?),
                Poll::Pending => poll = Poll::Pending,
            }
        }
    }
    poll
}
