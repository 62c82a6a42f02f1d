//! Parts of a scan.

use std::ops::ControlFlow;

use nexum_core::store::Visit;

/// The most rows of a page, and the bytes of its values at which it ends. A scan that breaks off early
/// does not read much more than it visits, and a page of large values fits into memory.
const PAGE_ROWS: usize = 256;
const PAGE_BYTES: usize = 1 << 20;

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

    pub(super) fn new(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let bytes: usize = rows.iter().map(|(_, value)| value.len()).sum();
        Self {
            is_last: rows.len() < PAGE_ROWS && bytes < PAGE_BYTES,
            rows,
        }
    }

    /// Passes the rows to `visit`. Returns the first key of the next page, if the scan goes on.
    pub(super) fn pass(self, visit: &mut Visit<'_>) -> Option<Vec<u8>> {
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
pub(super) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
