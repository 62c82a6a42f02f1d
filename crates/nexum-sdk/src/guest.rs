//! The exports of a component, which call a [`Module`].

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::thread::LocalKey;

use alloy_primitives::{Address, B256};

use crate::bindings::nexum::host::types as wit;
use crate::host::{self, to_host};
use crate::{Block, Error, ErrorKind, Event, Level, Log, Message, Module, Result, Tick};

/// The place of the only instance of a module.
pub type Place<M> = LocalKey<RefCell<Option<M>>>;

/// The export `init`.
pub fn init<M: Module>(place: &'static Place<M>, config: wit::Config) -> Result<(), wit::HostError> {
    std::panic::set_hook(Box::new(report));
    let module = M::start(&config).map_err(|error| to_host(error, M::NAME))?;
    place.replace(Some(module));
    Ok(())
}

/// Logs a panic with its file and line: the trap that follows has neither.
fn report(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let mut message = String::from("panicked at ");
    if let Some(place) = panic.location() {
        message.push_str(place.file());
        message.push(':');
        message.push_str(&place.line().to_string());
        message.push_str(": ");
    }
    message.push_str(text.unwrap_or_default());
    host::log(Level::Error, &message);
}

/// The export `on-event`.
pub fn on_event<M: Module>(place: &'static Place<M>, event: wit::Event) -> Result<(), wit::HostError> {
    with(place, |module| module.handle(read::<M>(event)?))
}

/// The export `evaluate`.
pub fn evaluate<M: Module>(place: &'static Place<M>, input: Vec<u8>) -> Result<Vec<u8>, wit::HostError> {
    with(place, |module| module.evaluate(input))
}

fn with<M: Module, T>(place: &'static Place<M>, call: impl FnOnce(&mut M) -> Result<T>) -> Result<T, wit::HostError> {
    let result = place.with_borrow_mut(|module| match module {
        Some(module) => call(module),
        None => Err(Error::new(ErrorKind::Internal, "an event came before `init`")),
    });
    result.map_err(|error| to_host(error, M::NAME))
}

/// The event for the handlers of a module. `M` decides which code becomes part of its component.
fn read<M: Module>(event: wit::Event) -> Result<Event> {
    Ok(match event {
        wit::Event::Block(block) => Event::Block(Block {
            chain_id: block.chain_id,
            number: block.number,
            hash: hash(&block.hash)?,
            timestamp: block.timestamp,
        }),
        wit::Event::Logs(logs) if M::TAKES_LOGS => Event::Logs(logs.into_iter().map(log).collect::<Result<_>>()?),
        wit::Event::Logs(_) => Event::Logs(Vec::new()),
        wit::Event::Tick(tick) => Event::Tick(Tick {
            fired_at: tick.fired_at,
        }),
        wit::Event::Message(message) => Event::Message(message.into()),
    })
}

impl From<wit::Message> for Message {
    fn from(message: wit::Message) -> Self {
        Self {
            content_topic: message.content_topic,
            payload: message.payload,
            timestamp: message.timestamp,
            sender: message.sender,
        }
    }
}

fn log(log: wit::Log) -> Result<Log> {
    Ok(Log {
        chain_id: log.chain_id,
        address: Address::try_from(log.address.as_slice()).map_err(|_| malformed("address"))?,
        topics: log.topics.iter().map(|topic| hash(topic)).collect::<Result<_>>()?,
        data: log.data.into(),
        block_number: log.block_number,
        transaction_hash: hash(&log.transaction_hash)?,
        log_index: log.log_index,
    })
}

fn hash(bytes: &[u8]) -> Result<B256> {
    B256::try_from(bytes).map_err(|_| malformed("hash"))
}

/// The host never sends such an event.
fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the event has a malformed {what}"))
}

/// Exports a module: always `init`, and the exports that the call names.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($module:ty: $($export:ident),*) => {
        ::std::thread_local! {
            static INSTANCE: ::core::cell::RefCell<::core::option::Option<$module>> =
                const { ::core::cell::RefCell::new(::core::option::Option::None) };
        }

        struct Component;

        impl $crate::bindings::init::Guest for Component {
            fn init(
                config: $crate::bindings::init::Config,
            ) -> ::core::result::Result<(), $crate::bindings::init::HostError> {
                $crate::guest::init::<$module>(&INSTANCE, config)
            }
        }

        $crate::bindings::init::export_init!(Component with_types_in $crate::bindings::init);

        $($crate::__export!(@ $export $module);)*
    };
    (@ events $module:ty) => {
        impl $crate::bindings::events::Guest for Component {
            fn on_event(
                event: $crate::bindings::events::Event,
            ) -> ::core::result::Result<(), $crate::bindings::events::HostError> {
                $crate::guest::on_event::<$module>(&INSTANCE, event)
            }
        }

        $crate::bindings::events::export_events!(Component with_types_in $crate::bindings::events);
    };
    (@ query $module:ty) => {
        impl $crate::bindings::query::Guest for Component {
            fn evaluate(
                input: ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<::std::vec::Vec<u8>, $crate::bindings::query::HostError> {
                $crate::guest::evaluate::<$module>(&INSTANCE, input)
            }
        }

        $crate::bindings::query::export_query!(Component with_types_in $crate::bindings::query);
    };
}
