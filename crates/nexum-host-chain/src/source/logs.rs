//! The entries of a chain's log: blocks with their logs.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use nexum_core::source::Advance;

use super::filters::Filters;
use super::header::Header;
use super::{FollowError, LOG_REQUESTS_MAX, Purpose, Reader};
use crate::rpc::endpoint::Endpoint;

/// The revision of filters for a block without logs: it is older than every subscriber's filters.
const WITHOUT_LOGS: u64 = 0;

impl Reader {
    /// Reads the logs of these blocks, some at a time. Returns the log entries of as many
    /// consecutive blocks, from the first one, as are available now. Keeps the blocks before a
    /// failure, so that an endpoint that answers only some at a time makes progress.
    ///
    /// Fails if the logs of the first block cannot be read.
    pub(super) async fn with_logs(
        &self,
        endpoint: &Arc<Endpoint>,
        headers: Vec<Header>,
        filters: &Filters,
        purpose: Purpose,
    ) -> Result<Vec<Arc<Advance>>, FollowError> {
        let mut blocks = Vec::with_capacity(headers.len());
        let push = |block| blocks.push(block);
        self.each_with_logs(endpoint, headers, filters, purpose, push).await?;
        Ok(blocks)
    }

    /// As [`Self::with_logs`], but passes each block on, in order, as soon as its logs are known.
    pub(super) async fn each_with_logs(
        &self,
        endpoint: &Arc<Endpoint>,
        headers: Vec<Header>,
        filters: &Filters,
        purpose: Purpose,
        mut hand_over: impl FnMut(Arc<Advance>),
    ) -> Result<(), FollowError> {
        let read = headers
            .into_iter()
            .map(|header| self.with_its_logs(endpoint, header, filters, purpose));
        let read: Vec<_> = read.collect();
        let mut read = stream::iter(read).buffered(LOG_REQUESTS_MAX);
        let mut is_first = true;
        while let Some(block) = read.next().await {
            match block {
                Ok(block) => hand_over(block),
                Err(error) if is_first => return Err(error),
                Err(_) => break,
            }
            is_first = false;
        }
        Ok(())
    }

    async fn with_its_logs(
        &self,
        endpoint: &Arc<Endpoint>,
        header: Header,
        filters: &Filters,
        purpose: Purpose,
    ) -> Result<Arc<Advance>, FollowError> {
        let logs = match self.logs_of(endpoint, &header, filters, purpose).await {
            Err(error) if purpose == Purpose::Follow && error.is_too_large() => {
                self.warn_too_large(endpoint, &header, &error);
                return Ok(header.advance(self.chain_id, Vec::new()).as_of(WITHOUT_LOGS));
            }
            logs => logs?,
        };
        Ok(header.advance(self.chain_id, logs).as_of(filters.revision))
    }

    /// Warns that the chain continues without the logs of a block. A module that subscribes to logs
    /// reads the block itself, and waits until an endpoint answers.
    fn warn_too_large(&self, endpoint: &Endpoint, header: &Header, error: &FollowError) {
        tracing::warn!(
            chain = self.chain_id,
            endpoint = endpoint.label(),
            block = header.position.number,
            response_bytes_max = self.config.response_bytes_max,
            %error,
            "the logs of the block are too many for one answer, in parts too: modules that subscribe to logs read the block by \
             themselves, and those that want too many of its logs wait; raise response_bytes_max, or use an endpoint that gives more"
        );
    }
}
