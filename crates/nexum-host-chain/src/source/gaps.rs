//! Numbers without a block.
//!
//! On some chains, such as Filecoin, a number may have no block. An endpoint answers for it as for a block that it does not have:
//! with null or an error. So only a hash proves a gap: a block above it names a block below it as its parent.

use std::cmp::Ordering;
use std::ops::RangeInclusive;
use std::sync::Arc;

use nexum_core::source::Position;

use super::follower::{Follower, Following};
use super::header::{self, Header, SKIPPED_MAX};
use super::heads::Announced;
use super::{BLOCKS_PER_BATCH, FollowError, Reader};
use crate::rpc::endpoint::Endpoint;

/// The blocks on both sides of a gap, of which the upper one names the lower one as its parent. The search starts at a number
/// above the lower block, and up to the upper one.
pub(super) struct Gap {
    pub(super) below: Header,
    pub(super) above: Header,
}

/// A block from the number `start` on, near the lowest that there is: in the first [`BLOCKS_PER_BATCH`] numbers, or else in the
/// lowest batch whose last number has a block, or in the batch up to the endpoint's head.
async fn first_above(endpoint: &Endpoint, start: u64) -> Result<Option<Header>, FollowError> {
    if let Some(first) = first_of_batch(endpoint, start).await? {
        return Ok(Some(first));
    }
    let Some(head) = header::tagged(endpoint, "latest").await? else {
        return Ok(None);
    };
    let head = head.position.number;
    let ends = (2..=BLOCKS_PER_BATCH).map_while(|batch| start.checked_add(batch * BLOCKS_PER_BATCH - 1));
    let mut ends: Vec<u64> = ends.take_while(|end| *end < head).collect();
    if (start..=start.saturating_add(SKIPPED_MAX)).contains(&head) {
        ends.push(head);
    }
    if ends.is_empty() {
        return Ok(None);
    }
    match header::of_numbers(endpoint, &ends).await?.headers.first() {
        Some(end) => first_of_batch(endpoint, batch_up_to(end.position.number, start)).await,
        None => Ok(None),
    }
}

/// The first number of the batch that ends with the number `end`. None of its numbers is below `start`.
fn batch_up_to(end: u64, start: u64) -> u64 {
    end.saturating_sub(BLOCKS_PER_BATCH - 1).max(start)
}

/// The lowest block of a batch of numbers.
async fn first_of_batch(endpoint: &Endpoint, first: u64) -> Result<Option<Header>, FollowError> {
    let numbers = (0..BLOCKS_PER_BATCH).map_while(|place| first.checked_add(place));
    let numbered = header::of_numbers(endpoint, &numbers.collect::<Vec<_>>()).await?;
    Ok(numbered.headers.into_iter().next())
}

impl Reader {
    /// The gap that the number `start` is in, if the endpoint can prove one.
    ///
    /// An endpoint may give a block by its hash and not by its number. Then the number is in no gap.
    pub(super) async fn gap_around(&self, endpoint: &Arc<Endpoint>, start: u64) -> Result<Option<Gap>, FollowError> {
        let Some(mut above) = first_above(endpoint, start).await? else {
            return Ok(None);
        };
        // The search leaps. Where it has leapt over blocks, the way back takes a batch at a time.
        for _ in 0..BLOCKS_PER_BATCH {
            let Some(below) = header::parent_of(endpoint, &above).await? else {
                return Ok(None);
            };
            match below.position.number.cmp(&start) {
                Ordering::Less => {
                    self.confirm_gaps(endpoint, below.position, std::slice::from_ref(&above))
                        .await?;
                    return Ok(Some(Gap { below, above }));
                }
                Ordering::Equal => return Ok(None),
                Ordering::Greater => {
                    let first = batch_up_to(below.position.number, start);
                    above = first_of_batch(endpoint, first).await?.unwrap_or(below);
                }
            }
        }
        Ok(None)
    }

    /// The blocks of these numbers, each the parent of the next: as many from the start as the endpoint gives at once, and at
    /// least one if there is one. Proves that a number before the first one has no block.
    pub(super) async fn chain_from(
        &self,
        endpoint: &Arc<Endpoint>,
        numbers: &RangeInclusive<u64>,
    ) -> Result<Blocks, FollowError> {
        let (start, end) = (*numbers.start(), *numbers.end());
        let read = header::chain_of(endpoint, None, numbers.clone()).await;
        let failure = match read {
            Ok(headers) if headers.first().is_some_and(|first| first.position.number == start) => {
                if let [first, others @ ..] = &headers[..] {
                    self.confirm_gaps(endpoint, first.position, others).await?;
                }
                return Ok(Blocks::Chain(headers));
            }
            Ok(_) => FollowError::NoBlock(start),
            Err(error) if error.is_answered() => error,
            Err(error) => return Err(error),
        };
        let Some(Gap { below, above }) = self.gap_around(endpoint, start).await? else {
            return Err(failure);
        };
        let below = below.position;
        if above.position.number > end {
            return Ok(Blocks::None { below });
        }
        let headers = self.chain_after(endpoint, below, end).await?;
        match headers.first() == Some(&above) {
            true => Ok(Blocks::Chain(headers)),
            false => Err(failure),
        }
    }

    /// The blocks after `parent`, up to the number `to`, each the parent of the next: as many as the endpoint gives at once. The
    /// first one need not be the child of `parent`. Empty if the endpoint has none.
    ///
    /// Fails if the endpoint refuses the number after `parent`, and gives no child of `parent`.
    pub(super) async fn chain_after(
        &self,
        endpoint: &Arc<Endpoint>,
        parent: Position,
        to: u64,
    ) -> Result<Vec<Header>, FollowError> {
        let start = parent.number.saturating_add(1);
        let mut headers = header::chain_of(endpoint, Some(parent), start..=to).await?;
        if headers.is_empty()
            && to.saturating_sub(parent.number) > BLOCKS_PER_BATCH
            && let Some(gap) = self.gap_around(endpoint, start).await?
            && gap.above.position.number <= to
        {
            headers.push(gap.above);
        }
        self.confirm_gaps(endpoint, parent, &headers).await?;
        Ok(headers)
    }

    /// Fails if another endpoint contradicts a gap between these blocks. The first endpoint may have made up the gap to hide blocks.
    pub(super) async fn confirm_gaps(
        &self,
        endpoint: &Arc<Endpoint>,
        parent: Position,
        headers: &[Header],
    ) -> Result<(), FollowError> {
        let parents = std::iter::once(parent).chain(headers.iter().map(|header| header.position));
        for (parent, header) in parents.zip(headers) {
            if header.follows(parent) && header.position.number.saturating_sub(parent.number) > 1 {
                self.confirm_gap(endpoint, parent, header).await?;
            }
        }
        Ok(())
    }

    /// Asks the other endpoints about the gap between a block and its parent, until one knows the block. Fails if its parent is
    /// another one there, or if an endpoint that does not know the block yet has a child of `parent` in the gap.
    async fn confirm_gap(
        &self,
        endpoint: &Arc<Endpoint>,
        parent: Position,
        header: &Header,
    ) -> Result<(), FollowError> {
        let last = header.position.number.saturating_sub(1);
        let last = last.min(parent.number.saturating_add(BLOCKS_PER_BATCH));
        let gap: Vec<u64> = (parent.number.saturating_add(1)..=last).collect();
        let others = self.endpoints.by_preference();
        for other in others.iter().filter(|other| !Arc::ptr_eq(other, endpoint)) {
            let is_another = match header::hashed(other, &header.position.hash).await {
                Ok(Some(theirs)) if theirs.parent_hash == header.parent_hash => return Ok(()),
                Ok(Some(_)) => true,
                Ok(None) | Err(_) => header::of_numbers(other, &gap)
                    .await
                    .is_ok_and(|between| between.headers.first().is_some_and(|first| first.follows(parent))),
            };
            if is_another {
                return Err(FollowError::Alone);
            }
        }
        Ok(())
    }
}

/// The blocks of some numbers.
pub(super) enum Blocks {
    /// At least one block.
    Chain(Vec<Header>),
    /// None of the numbers has a block. This is the newest block below them.
    None { below: Position },
}

impl Follower<'_> {
    /// Looks for what comes after `tip`: blocks that were announced, or, below them, as many as the endpoint gives at once.
    pub(super) async fn after(
        &self,
        endpoint: &Arc<Endpoint>,
        tip: Position,
        announced: &Announced,
    ) -> Result<Following, FollowError> {
        if announced.head.position.number <= tip.number {
            return Ok(Following::Missing);
        }
        let mut failure = None;
        let mut headers = announced.after(tip);
        if headers.is_empty()
            && let Some(to) = announced.first().number.checked_sub(1).filter(|to| *to > tip.number)
        {
            match self.source.chain_after(endpoint, tip, to).await {
                Ok(read) => headers = read,
                Err(error) if error.is_answered() => failure = Some(error),
                Err(error) => return Err(error),
            }
        } else {
            self.source.confirm_gaps(endpoint, tip, &headers).await?;
        }
        let above = match headers.first() {
            Some(first) if first.follows(tip) => return Ok(Following::Chain(headers)),
            first => first.unwrap_or_else(|| announced.above(tip.number)),
        };
        if above.position.number.saturating_sub(tip.number) == 1 {
            return Ok(Following::Fork(above.clone()));
        }
        let parent = match header::parent_of(endpoint, above).await? {
            Some(parent) => parent.position,
            None => return failure.map_or(Ok(Following::Missing), Err),
        };
        match parent.number <= tip.number {
            true => Ok(Following::Fork(above.clone())),
            false => failure.map_or(Ok(Following::Missing), Err),
        }
    }
}
