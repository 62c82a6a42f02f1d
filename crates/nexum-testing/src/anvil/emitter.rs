//! A contract that emits the logs in its input.

use alloy_primitives::{Bytes, U256};

use crate::LogSpec;

/// The constructor: copies [`RUNTIME`], which follows it, into memory and returns it. `0x3d` pushes
/// the size of the last call's return data, which is zero, in one byte.
const CONSTRUCTOR: &[u8] = &[0x60, RUNTIME.len() as u8, 0x80, 0x60, 0x09, 0x3d, 0x39, 0x3d, 0xf3];

/// The offset of the first case in [`RUNTIME`]. Each case has [`CASE_BYTES`].
const CASES: u8 = 0x44;

/// The size of a case: at least the longest case, and a power of two, so that a shift of four bits
/// finds a case.
const CASE_BYTES: usize = 16;

/// The offset behind the cases.
const JOIN: u8 = CASES + 5 * CASE_BYTES as u8;

/// The emitter. Its input is a list of logs. Each log consists of words of 32 bytes - the number of
/// topics, the number of data bytes, then the topics - and the data. The comments show the stack,
/// top first. `at` is the position in the input.
const RUNTIME: &[u8] = &[
    0x60, 0x00, //                               PUSH1 0                      | at
    0x5b, //                                     JUMPDEST, the loop: 0x02     | at
    0x36, 0x81, 0x10, //                         CALLDATASIZE DUP2 LT         | at < size, at
    0x60, 0x0a, 0x57, //                         PUSH1 0x0a JUMPI             | at
    0x00, //                                     STOP
    0x5b, //                                     JUMPDEST, a log: 0x0a        | at
    0x80, 0x35, //                               DUP1 CALLDATALOAD            | count, at
    0x81, 0x60, 0x20, 0x01, 0x35, //             DUP2 0x20 ADD CALLDATALOAD   | len, count, at
    0x81, 0x60, 0x05, 0x1b, //                   DUP2 PUSH1 5 SHL             | 32 count, len, count, at
    0x83, 0x01, 0x60, 0x40, 0x01, //             DUP4 ADD PUSH1 0x40 ADD      | data, len, count, at
    0x81, 0x81, 0x01, //                         DUP2 DUP2 ADD                | next, data, len, count, at
    0x82, 0x82, 0x60, 0x00, 0x37, //             DUP3 DUP3 0 CALLDATACOPY     | next, data, len, count, at
    0x90, 0x50, //                               SWAP1 POP                    | next, len, count, at
    0x83, 0x60, 0xa0, 0x01, 0x35, //             DUP4 0xa0 ADD CALLDATALOAD   | t4, next, len, count, at
    0x84, 0x60, 0x80, 0x01, 0x35, //             DUP5 0x80 ADD CALLDATALOAD   | t3, t4, next, len, count, at
    0x85, 0x60, 0x60, 0x01, 0x35, //             DUP6 0x60 ADD CALLDATALOAD   | t2, t3, t4, next, len, count, at
    0x86, 0x60, 0x40, 0x01,
    0x35, //             DUP7 0x40 ADD CALLDATALOAD   | t1, t2, t3, t4, next, len, count, at
    0x85, 0x60,
    0x00, //                         DUP6 PUSH1 0                 | 0, len, t1, t2, t3, t4, next, len, count, at
    0x88, 0x60, 0x04, 0x1b, //                   DUP9 PUSH1 4 SHL             | 16 count, 0, len, t1, ...
    0x60, CASES, 0x01,
    0x56, //                  PUSH1 CASES ADD JUMP         | 0, len, t1, t2, t3, t4, next, len, count, at
    // Each case is JUMPDEST LOGn, a POP for each unused topic, and PUSH1 JOIN JUMP.
    0x5b, 0xa0, 0x50, 0x50, 0x50, 0x50, 0x60, JOIN, 0x56, 0, 0, 0, 0, 0, 0, 0, //
    0x5b, 0xa1, 0x50, 0x50, 0x50, 0x60, JOIN, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, //
    0x5b, 0xa2, 0x50, 0x50, 0x60, JOIN, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
    0x5b, 0xa3, 0x50, 0x60, JOIN, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
    0x5b, 0xa4, 0x60, JOIN, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    //
    0x5b, //                                     JUMPDEST: JOIN               | next, len, count, at
    0x92, 0x50, 0x50, 0x50, //                   SWAP3 POP POP POP            | next
    0x60, 0x02, 0x56, //                         PUSH1 0x02 JUMP              | at
];

/// The creation code of the emitter.
pub(super) fn creation_code() -> Bytes {
    [CONSTRUCTOR, RUNTIME].concat().into()
}

/// The input for these logs.
pub(super) fn input(logs: &[LogSpec]) -> Bytes {
    let mut input = Vec::new();
    for log in logs {
        for word in [log.topics.len(), log.data.len()] {
            input.extend_from_slice(&U256::from(word).to_be_bytes::<32>());
        }
        log.topics.iter().for_each(|topic| input.extend_from_slice(&topic[..]));
        input.extend_from_slice(&log.data);
    }
    input.into()
}
