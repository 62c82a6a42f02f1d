//! The interface between a module and the host, which `#[module]` implements.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, ErrorKind, Event, Result};

/// A module. `#[nexum_sdk::module]` implements this trait.
pub trait Module: Sized + 'static {
    /// The name of the module's crate.
    const NAME: &'static str;

    /// The JSON in the custom section [`manifest::SECTION`](crate::manifest::SECTION).
    const MANIFEST: &'static str;

    /// Whether a handler takes logs. The component of a module without one does not read them.
    const TAKES_LOGS: bool;

    /// Creates an instance. The host calls this once, before the first event, and again after each
    /// event that failed.
    ///
    /// # Errors
    ///
    /// With an error, the module does not start.
    fn start(config: &[(String, String)]) -> Result<Self>;

    /// Handles an event. The host keeps the event's writes only if the result is ok.
    fn handle(&mut self, event: Event) -> Result {
        let _ = event;
        Ok(())
    }

    /// Answers a query.
    fn evaluate(&mut self, input: Vec<u8>) -> Result<Vec<u8>> {
        let _ = input;
        Err(Error::new(ErrorKind::Unsupported, "the module answers no queries"))
    }
}

/// A type that the argument of a `#[query]` can have.
pub trait QueryInput: Sized {
    /// Reads the bytes that the caller sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for bytes that are not of this type.
    fn from_bytes(bytes: Vec<u8>) -> Result<Self>;
}

/// A type that a `#[query]` can return.
pub trait QueryOutput {
    /// The bytes for the caller.
    ///
    /// # Errors
    ///
    /// A value that has no encoding.
    fn into_bytes(self) -> Result<Vec<u8>>;
}

/// A value that a query reads or answers as JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl QueryInput for Vec<u8> {
    fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Ok(bytes)
    }
}

impl QueryInput for String {
    fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))
    }
}

impl<T: DeserializeOwned> QueryInput for Json<T> {
    fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let value = serde_json::from_slice(&bytes);
        value
            .map(Json)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))
    }
}

impl QueryOutput for Vec<u8> {
    fn into_bytes(self) -> Result<Vec<u8>> {
        Ok(self)
    }
}

impl QueryOutput for String {
    fn into_bytes(self) -> Result<Vec<u8>> {
        Ok(self.into_bytes())
    }
}

impl<T: Serialize> QueryOutput for Json<T> {
    fn into_bytes(self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(&self.0)?)
    }
}
