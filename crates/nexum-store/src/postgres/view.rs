//! Views of the rows.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use nexum_core::store::{Answer, Range, StoreError, View, Visit, VisitAsync, is_empty, wait};

use super::pool::{Frozen, Reader};
use super::{Shared, failed};
use crate::error::PostgresError;

/// The most rows of a page, and the bytes of its values at which it ends. A scan that breaks off early
/// does not read much more than it visits, and a page of large values fits into memory.
const PAGE_ROWS: usize = 256;
const PAGE_BYTES: usize = 1 << 20;

/// A view of the current rows, or of those at the time when it was frozen.
#[derive(Debug)]
pub(super) struct PostgresView {
    shared: Arc<Shared>,
    frozen: Option<Arc<Frozen>>,
}

/// Consecutive rows of a scan.
#[derive(Debug)]
pub(super) struct Page {
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    is_last: bool,
}

impl Page {
    /// The statement of a page. `$1` is the first key, and `and` is the upper bound.
    pub(super) fn statement(and: &str) -> String {
        format!(
            "SELECT key, value FROM (\
                 SELECT key, value, sum(octet_length(value)) OVER (ORDER BY key) - octet_length(value) AS before \
                 FROM (SELECT key, value FROM nexum_rows WHERE key >= $1 {and} ORDER BY key LIMIT {PAGE_ROWS}) AS found\
             ) AS sized WHERE before < {PAGE_BYTES} ORDER BY key"
        )
    }

    fn new(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let bytes: usize = rows.iter().map(|(_, value)| value.len()).sum();
        Self {
            is_last: rows.len() < PAGE_ROWS && bytes < PAGE_BYTES,
            rows,
        }
    }

    /// Passes the rows to `visit`. Returns the first key of the next page, if the scan goes on.
    fn pass(self, visit: &mut Visit<'_>) -> Option<Vec<u8>> {
        for (key, value) in &self.rows {
            if let ControlFlow::Break(()) = visit(key, value) {
                return None;
            }
        }
        let last = self.rows.into_iter().next_back().filter(|_| !self.is_last);
        last.map(|(key, _)| after(&key))
    }
}

/// The first key after this one.
fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The first key of a range, and the first key after it if it has an end.
fn bounds((from, to): Range<'_>) -> (Vec<u8>, Option<Vec<u8>>) {
    let from = match from {
        Bound::Included(key) => key.to_vec(),
        Bound::Excluded(key) => after(key),
        Bound::Unbounded => Vec::new(),
    };
    let to = match to {
        Bound::Included(key) => Some(after(key)),
        Bound::Excluded(key) => Some(key.to_vec()),
        Bound::Unbounded => None,
    };
    (from, to)
}

impl PostgresView {
    pub(super) fn current(shared: Arc<Shared>) -> Self {
        Self { shared, frozen: None }
    }

    pub(super) fn frozen(shared: Arc<Shared>, frozen: Frozen) -> Self {
        Self {
            shared,
            frozen: Some(Arc::new(frozen)),
        }
    }

    fn read(&self, key: &[u8]) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        let (shared, frozen, key) = (self.shared.clone(), self.frozen.clone(), key.to_vec());
        self.shared.ask(async move {
            let source = Source::of(&shared, frozen).await?;
            let reader = source.reader()?;
            let row = shared.connector.ask(async {
                let row = reader.session.client.query_opt(&reader.get, &[&key]).await?;
                row.map(|row| row.try_get(0)).transpose()
            });
            source.answer(&shared, row.await).await
        })
    }

    fn page(&self, from: Vec<u8>, to: Option<Vec<u8>>) -> BoxFuture<'static, Result<Page, StoreError>> {
        let (shared, frozen) = (self.shared.clone(), self.frozen.clone());
        self.shared.ask(async move {
            let source = Source::of(&shared, frozen).await?;
            let reader = source.reader()?;
            let client = &reader.session.client;
            let rows = shared.connector.ask(async {
                let rows = match &to {
                    Some(to) => client.query(&reader.page, &[&from, to]).await?,
                    None => client.query(&reader.page_to_end, &[&from]).await?,
                };
                let rows = rows.into_iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
                rows.collect::<Result<_, _>>().map(Page::new)
            });
            source.answer(&shared, rows.await).await
        })
    }
}

/// The connection of a request.
enum Source {
    Current(Arc<Reader>),
    Frozen(Arc<Frozen>),
}

impl Source {
    async fn of(shared: &Shared, frozen: Option<Arc<Frozen>>) -> Result<Self, StoreError> {
        match frozen {
            Some(frozen) => Ok(Self::Frozen(frozen)),
            None => {
                shared.settle().await?;
                Ok(Self::Current(shared.readers.get(&shared.connector).await?))
            }
        }
    }

    fn reader(&self) -> Result<&Reader, StoreError> {
        match self {
            Self::Current(reader) => Ok(reader),
            Self::Frozen(frozen) => frozen.reader(),
        }
    }

    /// The answer to a request. Gives up the connection if there was none in time.
    async fn answer<T>(&self, shared: &Shared, answer: Result<T, PostgresError>) -> Result<T, StoreError> {
        if let Err(PostgresError::TimedOut { .. }) = &answer {
            match self {
                Self::Current(reader) => shared.readers.discard(reader).await,
                Self::Frozen(frozen) => frozen.give_up(),
            }
        }
        answer.map_err(failed)
    }
}

impl View for PostgresView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        wait(self.read(key))
    }

    fn get_async<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Option<Vec<u8>>> {
        Answer::Right(self.read(key))
    }

    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if is_empty(range) {
            return Ok(());
        }
        let (from, to) = bounds(range);
        let mut next = Some(from);
        while let Some(from) = next {
            next = wait(self.page(from, to.clone()))?.pass(visit);
        }
        Ok(())
    }

    fn scan_async<'a>(&'a self, range: Range<'a>, visit: &'a mut VisitAsync<'_>) -> Answer<'a, ()> {
        Answer::Right(Box::pin(async move {
            if is_empty(range) {
                return Ok(());
            }
            let (from, to) = bounds(range);
            let mut next = Some(from);
            while let Some(from) = next {
                next = self.page(from, to.clone()).await?.pass(visit);
            }
            Ok(())
        }))
    }
}
