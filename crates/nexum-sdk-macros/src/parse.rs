//! The `impl` of a module.

use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Ident, ImplItem, ItemImpl, Result};

use crate::arguments::{self, Type};
use crate::handler::{self, Handler, Init};
use crate::subscription::{ATTRIBUTES, Kind};

/// A module.
pub(crate) struct Module {
    /// The `impl` without the attributes of handlers.
    pub(crate) item: ItemImpl,
    pub(crate) init: Option<Init>,
    pub(crate) handlers: Vec<Handler>,
    /// The keys of the manifest's `[capabilities]`, with their values as JSON.
    pub(crate) capabilities: Vec<(String, String)>,
}

/// Reads a module. With errors, the `impl` is complete nevertheless, so that the compiler reports
/// nothing that follows from them.
pub(crate) fn module(arguments: TokenStream, mut item: ItemImpl) -> (Module, Option<Error>) {
    let mut errors = Errors::default();
    errors.check(shape(&item));
    let capabilities = errors.take(capabilities(arguments)).unwrap_or_default();
    let (mut init, mut handlers) = (None, Vec::new());
    for member in &mut item.items {
        let ImplItem::Fn(method) = member else { continue };
        if method.sig.ident == "init" {
            init = errors.take(handler::init(&method.sig));
        } else if let Some(Some(handler)) = errors.take(handler::handler(method)) {
            handlers.push(handler);
        }
    }
    if handlers.is_empty() && errors.0.is_none() {
        let known = ATTRIBUTES.map(|name| format!("`#[{name}]`")).join(", ");
        let error = format!("no handler: add a method with one of {known}");
        errors.check(Err(Error::new_spanned(&item.self_ty, error)));
    }
    errors.check(twice(&handlers));
    let module = Module {
        item,
        init,
        handlers,
        capabilities,
    };
    (module, errors.0)
}

/// All errors that were found.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                match &mut self.0 {
                    Some(errors) => errors.combine(error),
                    none => *none = Some(error),
                }
                None
            }
        }
    }

    fn check(&mut self, result: Result<()>) {
        self.take(result);
    }
}

fn shape(item: &ItemImpl) -> Result<()> {
    if let Some((_, path, _)) = &item.trait_ {
        return Err(Error::new_spanned(path, "`#[module]` is for an `impl` without a trait"));
    }
    match item.generics.params.first() {
        Some(parameter) => Err(Error::new_spanned(parameter, "a module has no generic parameters")),
        None => Ok(()),
    }
}

fn capabilities(arguments: TokenStream) -> Result<Vec<(String, String)>> {
    let known = ["required", "optional"].map(|name| (name, Type::List));
    let read = |input: ParseStream<'_>| {
        let first = input.fork().parse::<Ident>().map(|key| key.to_string());
        match first.is_ok_and(|key| known.iter().any(|(known, _)| *known == key)) || input.is_empty() {
            true => arguments::read(input, &known),
            false => Err(Error::new(
                input.span(),
                "a module has the arguments `required` and `optional`, for capabilities; settings of a handler are \
                 in its own attribute, such as `#[on_block(chain_id = 1)]`",
            )),
        }
    };
    read.parse2(arguments)
}

/// Refuses two handlers of one kind, because an event has one handler. Two of an event of `sol!` may
/// have logs of other chains or contracts.
fn twice(handlers: &[Handler]) -> Result<()> {
    for (at, handler) in handlers.iter().enumerate() {
        let kind = handler.kind.identity();
        let takes_all = |before: &Handler| {
            let has_scope = matches!(before.kind, Kind::Event(_));
            before.kind.identity() == kind && (!has_scope || before.covers(handler))
        };
        if handlers.iter().take(at).any(takes_all) {
            let error = format!(
                "`#[{kind}]` has a handler already; several subscriptions are several attributes on one method"
            );
            return Err(Error::new(handler.name.span(), error));
        }
    }
    Ok(())
}
