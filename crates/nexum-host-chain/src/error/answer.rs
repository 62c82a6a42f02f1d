//! What an endpoint means by a JSON-RPC error.
//!
//! The codes are those of JSON-RPC 2.0 and EIP-1474 and the ones that nodes and providers use beside them. Codes do not say
//! enough: -32000 is a revert, a missing block and a bad nonce. So the words count as well, and they are looked at here alone.

/// What an endpoint means by a JSON-RPC error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AnswerKind {
    /// A contract reverted: the endpoint did its work.
    Revert,
    /// The endpoint does not have the block, or its state, yet or any longer.
    UnknownBlock,
    /// The chain has no block of this number.
    NullRound,
    /// The endpoint wants fewer requests.
    RateLimit,
    /// The range is too wide, or has too many results: a smaller one may be answered.
    TooMuch,
    /// The endpoint does not have the method.
    NoMethod,
    /// The request is malformed, or breaks a rule.
    Invalid,
    /// Trouble of the endpoint's own.
    Trouble,
    /// What none of the others says, as a node's reasons not to run a call or to take a transaction.
    Other,
}

/// Words of nodes and providers, in lower case, in the order in which they are looked for, and what they mean.
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
    // Infura, Alchemy, QuickNode, Ankr, geth, reth. Before those of rate limits, whose codes they share.
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
];

/// How much of a text is searched: an endpoint says what it means in its first sentence.
const SEARCHED_BYTES_MAX: usize = 512;

impl AnswerKind {
    /// What an error means that is not a revert.
    pub(super) fn of(code: i64, message: &str) -> Self {
        let searched = &message[..message.floor_char_boundary(SEARCHED_BYTES_MAX)];
        let searched = searched.to_ascii_lowercase();
        // Errors with these codes repeat what was asked. A module must not be able to put words about limits there, after which
        // an endpoint is left alone for a while.
        let repeats = matches!(code, -32_600 | -32_601 | -32_602 | -32_700);
        let mut words = WORDS.iter().filter(|(_, kind)| !(repeats && *kind == Self::RateLimit));
        let said = words.find(|(words, _)| searched.contains(words));
        match (code, said) {
            (_, Some((_, kind))) => *kind,
            (429 | -32_005 | -32_029, None) => Self::RateLimit,
            (-32_601 | -32_004, None) => Self::NoMethod,
            (-32_600 | -32_602 | -32_700 | -32_003, None) => Self::Invalid,
            // Of -32001 the words alone tell a missing block from a key that is not known.
            (-32_603 | -32_001 | -32_002, None) => Self::Trouble,
            _ => Self::Other,
        }
    }
}
