//! Parts of a scan.

use std::ops::ControlFlow;

use nexum_core::store::Visit;

/// The most rows of the first page: a scan that breaks off early does not read much more than it visits.
const ROWS_FIRST: i64 = 256;

/// How many times the rows of a full page its next page may have, and the most rows of a page. A small
/// module with many keys is read in few requests.
const ROWS_TIMES: i64 = 8;
const ROWS_MAX: i64 = 16_384;

/// The bytes of values at which a page ends, so that it fits into memory.
const BYTES: usize = 1 << 20;

/// The beginning of a page.
#[derive(Debug)]
pub(super) struct Start {
    /// The first key.
    pub(super) from: Vec<u8>,
    /// The most rows.
    pub(super) rows_max: i64,
}

/// Consecutive rows of a scan.
#[derive(Debug)]
pub(super) struct Page {
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    rows_max: i64,
    /// Whether the page ended because of its rows, or of their bytes. `None` if no row follows.
    full: Option<Full>,
}

#[derive(Clone, Copy, Debug)]
enum Full {
    Rows,
    Bytes,
}

impl Start {
    /// The first page of a scan.
    pub(super) fn first(from: Vec<u8>) -> Self {
        Self {
            from,
            rows_max: ROWS_FIRST,
        }
    }
}

impl Page {
    /// The statement of a page. `$1` is the first key, `$2` the most rows, and `and` is the upper bound.
    pub(super) fn statement(and: &str) -> String {
        format!(
            "SELECT key, value FROM (\
                 SELECT key, value, sum(octet_length(value)) OVER (ORDER BY key) - octet_length(value) AS before \
                 FROM (SELECT key, value FROM nexum_rows WHERE key >= $1 {and} ORDER BY key LIMIT $2) AS found\
             ) AS sized WHERE before < {BYTES} ORDER BY key"
        )
    }

    pub(super) fn new(rows: Vec<(Vec<u8>, Vec<u8>)>, rows_max: i64) -> Self {
        let bytes: usize = rows.iter().map(|(_, value)| value.len()).sum();
        let full = match rows.len() as i64 {
            count if count >= rows_max => Some(Full::Rows),
            _ if bytes >= BYTES => Some(Full::Bytes),
            _ => None,
        };
        Self { rows, rows_max, full }
    }

    /// Passes the rows to `visit`. Returns the beginning of the next page, if the scan goes on.
    pub(super) fn pass(self, visit: &mut Visit<'_>) -> Option<Start> {
        for (key, value) in &self.rows {
            if let ControlFlow::Break(()) = visit(key, value) {
                return None;
            }
        }
        let count = self.rows.len() as i64;
        // The server sizes all rows up to the most, so a page of large values asks for few.
        let rows_max = match self.full? {
            Full::Rows => (self.rows_max * ROWS_TIMES).min(ROWS_MAX),
            Full::Bytes => (count * 2).min(self.rows_max),
        };
        let (last, _) = self.rows.into_iter().next_back()?;
        Some(Start {
            from: after(&last),
            rows_max,
        })
    }
}

/// The first key after this one.
pub(super) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
