//! How providers refuse an `eth_getLogs` request that exceeds their limits.

use serde_json::json;

use super::answer::Answer;

/// The limits of one `eth_getLogs` over a range of blocks. A request by block hash has no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogsLimit {
    /// The provider whose texts a refusal has.
    pub provider: Provider,
    /// The widest range, in blocks.
    pub range_max: Option<u64>,
    /// The most logs in a response.
    pub results_max: Option<usize>,
}

/// A provider, with the codes and texts of its `eth_getLogs` refusals as observed in 2025 and 2026.
/// Providers have no common format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Uses status 400 over HTTP. Both refusals name a valid range.
    Alchemy,
    /// A refusal for too many results names a valid range, in its text and in its data.
    Infura,
    /// A refusal of the range has status 413 over HTTP. Its only limit on results is the size of
    /// the response.
    QuickNode,
    /// A reth node. A refusal for too many results names a valid range in decimal numbers.
    Reth,
    /// A public endpoint with geth behind it.
    PublicNode,
}

impl Provider {
    /// All providers, for tests that iterate over them.
    pub const ALL: [Self; 5] = [
        Self::Alchemy,
        Self::Infura,
        Self::QuickNode,
        Self::Reth,
        Self::PublicNode,
    ];
}

impl LogsLimit {
    pub(super) fn check_range(&self, from: u64, to: u64) -> Result<(), Answer> {
        let range = (to - from).saturating_add(1);
        match self.range_max {
            Some(max) if range > max => Err(self.range_too_large(from, range, max)),
            _ => Ok(()),
        }
    }

    /// Checks the count after each block of the range. `found` is the number of logs up to then.
    pub(super) fn check_results(&self, found: usize, from: u64, block: u64) -> Result<(), Answer> {
        match self.results_max {
            // The range before this block is valid. The narrowest range is the first block alone.
            Some(max) if found > max => Err(self.too_many_results(from, block.saturating_sub(1).max(from), max)),
            _ => Ok(()),
        }
    }

    fn range_too_large(&self, from: u64, range: u64, max: u64) -> Answer {
        let last = from + max.saturating_sub(1);
        match self.provider {
            Provider::Alchemy => with_status(
                400,
                -32_600,
                format!(
                    "You can make eth_getLogs requests with up to a {max} block range. Based on your parameters, this block \
                     range should work: [{from:#x}, {last:#x}]"
                ),
            ),
            Provider::Infura => Answer::error(-32_602, format!("range {range} exceeds limit of {max}")),
            Provider::QuickNode => with_status(
                413,
                -32_614,
                format!("eth_getLogs is limited to a {} range", thousands(max)),
            ),
            Provider::Reth => Answer::error(-32_602, format!("query exceeds max block range {max}")),
            Provider::PublicNode => Answer::error(-32_701, format!("exceed maximum block range: {max}")),
        }
    }

    fn too_many_results(&self, from: u64, to: u64, max: usize) -> Answer {
        match self.provider {
            Provider::Alchemy => with_status(
                400,
                -32_602,
                format!(
                    "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on \
                     the response size, or you can request any block range with a cap of 10K logs in the response. Based on \
                     your parameters and the response size limit, this block range should work: [{from:#x}, {to:#x}]"
                ),
            ),
            Provider::Infura => {
                let (from, to) = (format!("0x{from:X}"), format!("0x{to:X}"));
                Answer::Error {
                    code: -32_005,
                    message: format!(
                        "query returned more than {max} results. Try with this block range [{from}, {to}]."
                    ),
                    data: Some(json!({ "from": from, "limit": max, "to": to })),
                }
            }
            Provider::QuickNode => Answer::Error {
                code: -32_008,
                message: "Response is too big".to_owned(),
                data: Some(json!("Exceeded max limit of 167772160")),
            },
            Provider::Reth => {
                let message = format!("query exceeds max results {max}, retry with the range {from}-{to}");
                Answer::error(-32_602, message)
            }
            Provider::PublicNode => Answer::error(-32_000, format!("logs matched by query exceeds limit of {max}")),
        }
    }
}

fn with_status(status: u16, code: i64, message: String) -> Answer {
    Answer::ErrorStatus { status, code, message }
}

/// Formats a number as `10,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
