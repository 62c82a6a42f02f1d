//! The meaning of a JSON-RPC error.
//!
//! The codes are from JSON-RPC 2.0 and EIP-1474, and from nodes and providers. A code alone is
//! ambiguous: -32000 is a revert, a missing block or a bad nonce. So this module also reads the
//! text. No other module does.

/// The meaning of a JSON-RPC error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AnswerKind {
    /// A contract reverted: the endpoint ran the call.
    Revert,
    /// The endpoint does not have the block or its state, not yet or no longer.
    UnknownBlock,
    /// The chain has no block of this number.
    NullRound,
    /// The endpoint requests a lower rate.
    RateLimit,
    /// The range is too wide, or has too many results. The endpoint may answer a smaller range.
    TooMuch,
    /// The endpoint does not have the method.
    NoMethod,
    /// The request is malformed, or breaks a rule.
    Invalid,
    /// The endpoint has trouble.
    Trouble,
    /// Any other meaning, such as a node's reason not to run a call or to accept a transaction.
    Other,
}

/// Phrases of nodes and providers, in lower case, in the order of the search, with their meanings.
const WORDS: &[(&str, AnswerKind)] = &[
    // geth, reth, nethermind, erigon, besu, anvil.
    ("header not found", AnswerKind::UnknownBlock),
    ("header for hash not found", AnswerKind::UnknownBlock),
    ("block not found", AnswerKind::UnknownBlock),
    ("unknown block", AnswerKind::UnknownBlock),
    ("block does not exist", AnswerKind::UnknownBlock),
    ("blockoutofrange", AnswerKind::UnknownBlock),
    ("not currently canonical", AnswerKind::UnknownBlock),
    ("missing trie node", AnswerKind::UnknownBlock),
    ("state not available", AnswerKind::UnknownBlock),
    ("state is not available", AnswerKind::UnknownBlock),
    ("resource not found", AnswerKind::UnknownBlock),
    ("cannot query unfinalized data", AnswerKind::UnknownBlock),
    ("after last accepted block", AnswerKind::UnknownBlock),
    // Lotus, Forest.
    ("null round", AnswerKind::NullRound),
    // Infura, Alchemy, QuickNode, Ankr, geth, reth. Before the phrases for rate limits, which have
    // the codes of these.
    ("query returned more than", AnswerKind::TooMuch),
    ("response size exceeded", AnswerKind::TooMuch),
    ("response size should not", AnswerKind::TooMuch),
    ("block range", AnswerKind::TooMuch),
    ("range is too", AnswerKind::TooMuch),
    ("range too", AnswerKind::TooMuch),
    ("is limited to a", AnswerKind::TooMuch),
    ("too many results", AnswerKind::TooMuch),
    ("response is too big", AnswerKind::TooMuch),
    ("exceeds max results", AnswerKind::TooMuch),
    ("too many blocks", AnswerKind::TooMuch),
    ("exceeds limit of", AnswerKind::TooMuch),
    ("rate limit", AnswerKind::RateLimit),
    ("too many requests", AnswerKind::RateLimit),
    ("request count exceeded", AnswerKind::RateLimit),
    ("compute units per second", AnswerKind::RateLimit),
    ("requests per second", AnswerKind::RateLimit),
    // A transaction that a node does not take. Some nodes say so with -32603, and nothing is wrong with them.
    ("nonce too", AnswerKind::Other),
    ("nonce is too", AnswerKind::Other),
    ("already known", AnswerKind::Other),
    ("alreadyknown", AnswerKind::Other),
    ("already imported", AnswerKind::Other),
    ("underpriced", AnswerKind::Other),
    ("insufficient funds", AnswerKind::Other),
];

/// The most bytes of a text that are searched: endpoints put the meaning into the first sentence.
const SEARCHED_BYTES_MAX: usize = 512;

impl AnswerKind {
    /// The meaning of an error that is not a revert.
    pub(super) fn of(code: i64, message: &str) -> Self {
        let searched = &message[..message.floor_char_boundary(SEARCHED_BYTES_MAX)];
        let searched = searched.to_ascii_lowercase();
        // Errors with these codes repeat the request. A module must not be able to insert phrases
        // about limits, because nexum pauses an endpoint after them.
        let repeats = matches!(code, -32_600 | -32_601 | -32_602 | -32_700);
        let mut words = WORDS.iter().filter(|(_, kind)| !(repeats && *kind == Self::RateLimit));
        let said = words.find(|(words, _)| searched.contains(words));
        match (code, said) {
            (_, Some((_, kind))) => *kind,
            (429 | -32_005 | -32_029, None) => Self::RateLimit,
            (-32_601 | -32_004, None) => Self::NoMethod,
            (-32_600 | -32_602 | -32_700 | -32_003, None) => Self::Invalid,
            // Only the text tells whether -32001 is a missing block or an unknown key.
            (-32_603 | -32_001 | -32_002, None) => Self::Trouble,
            _ => Self::Other,
        }
    }
}
