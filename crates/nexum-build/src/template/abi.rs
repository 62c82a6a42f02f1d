//! The ABI of the contract that a new project uses.

mod event;
mod rust;

use std::path::{Path, PathBuf};

use alloy_json_abi::{Event, Function, JsonAbi, StateMutability};
use nexum_config::hint::Hint;
use nexum_config::regular_file::{self, FileError};
use serde::Deserialize as _;
use serde_json::Value;

use super::name::KEYWORDS;
use crate::Language;

use event::Fault;

pub(super) use event::{AbiEvent, Input, Kind as InputKind, ZERO_WORD};
pub(super) use rust::RustEvent;

/// The largest file that is read. A compiler's output with the bytecode and the syntax tree of a contract has
/// up to a few MiB.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// The largest ABI. The ABIs of the largest contracts have 200 kB, and the compiler of the module reads all of it
/// at each build.
pub const ABI_BYTES_MAX: usize = 1 << 20;

/// Names that the code of the templates uses for other types.
const TAKEN: [&str; 8] = [
    "Address",
    "Block",
    "ContractWatch",
    "Decoded",
    "EventWatch",
    "Result",
    "Self",
    "Settings",
];

/// Types of a result that the module of a template can log, and that have a default value.
const PLAIN_TYPES: [&str; 6] = ["address", "bool", "bytes", "bytes32", "string", "uint256"];

/// Methods that every contract has in Rust. The method of a function with one of these names has another name.
const METHODS: [&str; 9] = [
    "address",
    "at",
    "call_builder",
    "deploy",
    "deploy_builder",
    "event_filter",
    "new",
    "provider",
    "set_address",
];

/// The reason why an ABI cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AbiError {
    /// The file cannot be read.
    #[error("the ABI {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The rest of the sentence.
        #[source]
        source: FileError,
    },
    /// The file is not JSON.
    #[error("the ABI {} is not JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The JSON is not an ABI, and has none.
    #[error("{} is not an ABI", path.display())]
    NotAnAbi {
        /// The file.
        path: PathBuf,
        /// The cause, for an array.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The array has declarations in Solidity, which some JavaScript libraries read.
    #[error("the ABI {} is a list of declarations in Solidity, not of JSON objects", path.display())]
    HumanReadable {
        /// The file.
        path: PathBuf,
    },
    /// An item has a name or a type that no module can use.
    #[error("the {item} of the ABI {} {reason}", path.display())]
    Item {
        /// The file.
        path: PathBuf,
        /// The kind of the item with its name.
        item: String,
        /// The rest of the sentence.
        reason: String,
    },
    /// The ABI has nothing that a module can use.
    #[error("the ABI {} has no event and no function", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The ABI is too large.
    #[error("the ABI {} has {bytes} bytes, and the most are {ABI_BYTES_MAX}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The size of the ABI, as JSON without the bytecode.
        bytes: usize,
    },
    /// The name of the file gives the contract no name.
    #[error("the name of the file {} gives the contract no name", path.display())]
    Unnamed {
        /// The file.
        path: PathBuf,
    },
    /// A handler of events needs an event.
    #[error("the ABI {} has no event that a module can handle{obstacle}", path.display())]
    NoEvent {
        /// The file.
        path: PathBuf,
        /// The reason of the first event after a colon, or nothing for an ABI without events.
        obstacle: String,
    },
}

impl Hint for AbiError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotAnAbi { .. } => {
                Some("an ABI is a JSON array, or the member `abi` of the JSON that Foundry or Hardhat writes".into())
            }
            Self::HumanReadable { .. } => {
                Some("use the JSON of the compiler: `forge inspect CONTRACT abi --json`".into())
            }
            Self::Unnamed { .. } => Some("name the file after the contract, such as Token.json".into()),
            Self::NoEvent { .. } => Some("use --lang rust --template block".into()),
            Self::TooLarge { .. } => Some("remove the functions that the module does not call".into()),
            Self::Item { item, .. } => Some(format!("remove the {item}: a module does not need all of an ABI")),
            Self::Empty { .. } => Some("without --abi, nexum new makes a module of any template".into()),
            Self::File { .. } | Self::Json { .. } => None,
        }
    }
}

/// The ABI of a contract.
#[derive(Debug)]
pub(super) struct Abi {
    /// The name of the contract in Rust.
    pub(super) contract: String,
    /// The ABI without bytecode, as JSON.
    pub(super) json: String,
    /// The first event that the module of a template in Rust can handle.
    pub(super) event: Option<RustEvent>,
    /// The reason why the first event cannot be handled, if the module can handle no event.
    pub(super) obstacle: Option<String>,
    /// The events that a module in another language can subscribe to.
    pub(super) events: Vec<AbiEvent>,
    /// The first function that the module of a template can call.
    pub(super) function: Option<String>,
}

impl Abi {
    /// Reads the ABI in a file, for a module in the language.
    pub(super) fn read(path: &Path, language: Language) -> Result<Self, AbiError> {
        let of_file = || path.to_owned();
        let bytes = regular_file::read(path, FILE_BYTES_MAX).map_err(|source| AbiError::File {
            path: of_file(),
            source,
        })?;
        let mut value: Value = serde_json::from_slice(&bytes).map_err(|source| AbiError::Json {
            path: of_file(),
            source,
        })?;
        let not_an_abi = |source| AbiError::NotAnAbi {
            path: of_file(),
            source,
        };
        // Foundry and Hardhat write an object with the ABI and much more.
        let items = match value.get_mut("abi").map(Value::take).unwrap_or(value) {
            items @ Value::Array(_) => items,
            _ => return Err(not_an_abi(None)),
        };
        if items.as_array().is_some_and(|items| items.iter().any(Value::is_string)) {
            return Err(AbiError::HumanReadable { path: of_file() });
        }
        let mut abi = JsonAbi::deserialize(&items).map_err(|source| not_an_abi(Some(source)))?;
        let checked = match language {
            Language::Rust => rust::prepare(&mut abi),
            _ => event::check_types(&abi),
        };
        checked.map_err(|Fault { item, reason }| AbiError::Item {
            path: of_file(),
            item,
            reason,
        })?;
        if abi.events.is_empty() && abi.functions.is_empty() {
            return Err(AbiError::Empty { path: of_file() });
        }
        let json = serde_json::to_string_pretty(&abi).map_err(|source| not_an_abi(Some(source)))?;
        if json.len() > ABI_BYTES_MAX {
            return Err(AbiError::TooLarge {
                path: of_file(),
                bytes: json.len(),
            });
        }
        let events = event::in_order(&items, &abi);
        let obstacle = |event: &&Event| obstacle(event, language);
        let first = events.iter().find(|event| obstacle(event).is_none());
        Ok(Self {
            contract: contract(path).ok_or_else(|| AbiError::Unnamed { path: of_file() })?,
            json: json + "\n",
            event: first.map(|event| RustEvent::of(&abi, &event.name, &event.signature())),
            obstacle: match first {
                Some(_) => None,
                None => events.first().and_then(|event| {
                    let reason = obstacle(event)?;
                    Some(format!("the event {} {reason}", event.name))
                }),
            },
            events: AbiEvent::all(&items, &abi),
            function: function(&abi),
        })
    }
}

/// The reason why the module of a template cannot handle an event, as the end of a sentence about it.
fn obstacle(event: &Event, language: Language) -> Option<String> {
    let lacks_traits = language == Language::Rust && !rust::has_traits(&event.inputs);
    event::obstacle(event).or_else(|| {
        let reason = "has an array or a tuple without `Default` in Rust: write the handler by hand";
        lacks_traits.then(|| reason.to_owned())
    })
}

/// The name of the contract: the name of the file up to its first dot, with a capital letter for each word.
fn contract(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let words = name.split('.').next()?.split(|c: char| !c.is_ascii_alphanumeric());
    let mut contract: String = words
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect();
    if TAKEN.contains(&contract.as_str()) {
        contract.push_str("Contract");
    }
    contract
        .starts_with(|c: char| c.is_ascii_alphabetic())
        .then_some(contract)
}

/// The first function that needs no arguments and has one plain result, by name.
fn function(abi: &JsonAbi) -> Option<String> {
    let is_plain = |function: &Function| {
        let reads = matches!(function.state_mutability, StateMutability::View | StateMutability::Pure);
        let output = match function.outputs.as_slice() {
            [output] => PLAIN_TYPES.contains(&output.ty.as_str()),
            _ => false,
        };
        // An item that shares its name with another one gets a number.
        let is_shared = abi.events.contains_key(&function.name) || abi.errors.contains_key(&function.name);
        reads && output && function.inputs.is_empty() && !is_shared && is_name(&function.name)
    };
    let mut functions = abi.functions.values();
    functions.find_map(|overloads| match overloads.as_slice() {
        [function] if is_plain(function) => Some(function.name.clone()),
        _ => None,
    })
}

/// Whether the method of a function in Rust has the name of the function.
fn is_name(name: &str) -> bool {
    !KEYWORDS.contains(&name) && !METHODS.contains(&name)
}
