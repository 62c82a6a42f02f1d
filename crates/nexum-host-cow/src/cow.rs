//! The capability.

use nexum_core::BoxError;
use nexum_core::capability::ModuleMeta;
use nexum_core::capability::{Capability, Has, HostState};
use wasmtime::component::Linker;

use crate::bindings::shepherd::cow::cow_api;
use crate::config::CowConfig;
use crate::order_books::OrderBooks;

/// The capability that provides `shepherd:cow/cow-api`.
#[derive(Clone, Debug)]
pub struct Cow {
    books: OrderBooks,
}

impl Cow {
    /// Creates the capability for the order books of a configuration. Does not use the network.
    pub fn new(config: &CowConfig) -> Self {
        Self {
            books: OrderBooks::new(config),
        }
    }

    /// The order books that modules reach.
    pub fn order_books(&self) -> &OrderBooks {
        &self.books
    }
}

impl Capability for Cow {
    type State = OrderBooks;

    fn name(&self) -> &'static str {
        "cow"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["shepherd:cow/cow-api@0.2.0"]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        cow_api::add_to_linker::<_, Has<Self>>(linker, HostState::view::<Self>)
    }

    fn prepare(&self, _module: &ModuleMeta) -> Result<Self::State, BoxError> {
        Ok(self.books.clone())
    }
}
