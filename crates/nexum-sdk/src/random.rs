//! Random bytes of the host.

use crate::host;

/// Unpredictable bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Fills a buffer with unpredictable bytes.
pub fn fill(buffer: &mut [u8]) {
    let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    for (to, from) in buffer.iter_mut().zip(host::random(len)) {
        *to = from;
    }
}

/// An unpredictable number.
pub fn number() -> u64 {
    u64::from_le_bytes(bytes())
}
