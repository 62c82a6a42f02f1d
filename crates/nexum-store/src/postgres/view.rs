//! Views of the rows.

use std::ops::Bound;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use nexum_core::store::{Answer, Range, StoreError, View, Visit, VisitAsync, is_empty, wait};

use super::page::{Page, Start, after};
use super::pool::{Frozen, Reader};
use super::{Shared, failed};
use crate::error::PostgresError;

/// A view of the current rows, or of those at the time when it was frozen.
#[derive(Debug)]
pub(super) struct PostgresView {
    shared: Arc<Shared>,
    frozen: Option<Arc<Frozen>>,
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

    fn page(&self, start: Start, to: Option<Vec<u8>>) -> BoxFuture<'static, Result<Page, StoreError>> {
        let (shared, frozen) = (self.shared.clone(), self.frozen.clone());
        self.shared.ask(async move {
            let source = Source::of(&shared, frozen).await?;
            let reader = source.reader()?;
            let client = &reader.session.client;
            let Start { from, rows_max } = start;
            let rows = shared.connector.ask(async {
                let rows = match &to {
                    Some(to) => client.query(&reader.page, &[&from, &rows_max, to]).await?,
                    None => client.query(&reader.page_to_end, &[&from, &rows_max]).await?,
                };
                let rows = rows.into_iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
                let rows: Result<_, _> = rows.collect();
                rows.map(|rows| Page::new(rows, rows_max))
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
        let mut next = Some(Start::first(from));
        while let Some(start) = next {
            next = wait(self.page(start, to.clone()))?.pass(visit);
        }
        Ok(())
    }

    fn scan_async<'a>(&'a self, range: Range<'a>, visit: &'a mut VisitAsync<'_>) -> Answer<'a, ()> {
        Answer::Right(Box::pin(async move {
            if is_empty(range) {
                return Ok(());
            }
            let (from, to) = bounds(range);
            let mut next = Some(Start::first(from));
            while let Some(start) = next {
                next = self.page(start, to.clone()).await?.pass(visit);
            }
            Ok(())
        }))
    }
}
