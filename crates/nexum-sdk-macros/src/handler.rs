//! One method of the `impl`.

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, Ident, ImplItemFn, Result, ReturnType, Signature, Type};

use crate::nearest::{nearest, suggestion};
use crate::scope::{self, Scope};
use crate::subscription::{self, ATTRIBUTES, Kind, Subscription};

/// A method that handles events or queries.
pub(crate) struct Handler {
    pub(crate) kind: Kind,
    pub(crate) name: Ident,
    pub(crate) is_async: bool,
    pub(crate) argument: Option<Type>,
    pub(crate) output: Type,
    /// One for each attribute.
    pub(crate) subscriptions: Vec<Subscription>,
}

impl Handler {
    /// Whether the attributes select each log of another handler of this event.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        scope::cover(&self.scopes(), other.scopes())
    }

    /// The test whether the attributes select the variable `log`. `None` if they select each log.
    pub(crate) fn test(&self) -> Option<TokenStream> {
        scope::test(&self.scopes())
    }

    fn scopes(&self) -> Vec<&Scope> {
        self.subscriptions.iter().map(|each| &each.scope).collect()
    }
}

/// The method `init`.
pub(crate) struct Init {
    pub(crate) is_async: bool,
    pub(crate) argument: Option<Type>,
    /// Whether the method returns `Self`, not a `Result`.
    pub(crate) is_infallible: bool,
}

/// Removes the attributes of a handler, and reads them. `None` for another method.
pub(crate) fn handler(method: &mut ImplItemFn) -> Result<Option<Handler>> {
    let (ours, others): (Vec<_>, Vec<_>) = method.attrs.drain(..).partition(is_ours);
    method.attrs = others;
    let mut kind: Option<Kind> = None;
    let mut subscriptions = Vec::new();
    for attribute in &ours {
        let name = name_of(attribute);
        if !ATTRIBUTES.contains(&name.as_str()) {
            let suggestion = suggestion(&name, &ATTRIBUTES);
            let known = ATTRIBUTES.map(|name| format!("`#[{name}]`")).join(", ");
            let error = format!("`{name}` is not a handler; handlers are {known}{suggestion}");
            return Err(Error::new_spanned(attribute.path(), error));
        }
        let (found, subscription) = subscription::read(&name, attribute)?;
        if let Some(before) = &kind
            && before.identity() != found.identity()
        {
            let error = format!(
                "the method is a `#[{}]` already; write a method for each kind",
                before.identity()
            );
            return Err(Error::new_spanned(attribute, error));
        }
        kind = Some(found);
        subscriptions.push(subscription);
    }
    match kind {
        Some(kind) => signature(&method.sig, kind, subscriptions).map(Some),
        None => no_handler(&method.sig).map(|()| None),
    }
}

/// Whether an attribute is one of a handler, or was probably meant to be.
fn is_ours(attribute: &Attribute) -> bool {
    let name = name_of(attribute);
    name.starts_with("on_") || name == "query" || nearest(&name, &ATTRIBUTES).is_some()
}

fn name_of(attribute: &Attribute) -> String {
    attribute.path().get_ident().map(Ident::to_string).unwrap_or_default()
}

/// Refuses a method that looks like a handler and is none, because nexum would never call it.
fn no_handler(signature: &Signature) -> Result<()> {
    let name = signature.ident.to_string();
    if !name.starts_with("on_") {
        return Ok(());
    }
    let error = match nearest(&name, &ATTRIBUTES) {
        Some(known) => format!("`{name}` is not a handler without its attribute: add `#[{known}]`"),
        None => {
            format!("`{name}` is not a handler: add an attribute such as `#[on_block]`, or choose a name without `on_`")
        }
    };
    Err(Error::new(signature.ident.span(), error))
}

fn signature(signature: &Signature, kind: Kind, subscriptions: Vec<Subscription>) -> Result<Handler> {
    let wrong = |at: &dyn Fn() -> proc_macro2::Span| {
        Error::new(at(), format!("a handler looks like this: `{}`", kind.example()))
    };
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() => {}
        Some(other) => return Err(wrong(&|| other.span())),
        None => return Err(wrong(&|| signature.ident.span())),
    }
    let argument = match inputs.next() {
        Some(FnArg::Typed(argument)) => Some((*argument.ty).clone()),
        _ => None,
    };
    if let Some(second) = inputs.next() {
        return Err(wrong(&|| second.span()));
    }
    if let Some(generic) = signature.generics.params.first() {
        return Err(wrong(&|| generic.span()));
    }
    let ReturnType::Type(_, output) = &signature.output else {
        return Err(wrong(&|| signature.ident.span()));
    };
    Ok(Handler {
        name: signature.ident.clone(),
        is_async: signature.asyncness.is_some(),
        argument,
        output: (**output).clone(),
        subscriptions,
        kind,
    })
}

/// Reads the method `init`.
pub(crate) fn init(signature: &Signature) -> Result<Init> {
    let wrong = |span| {
        Error::new(
            span,
            "`init` looks like this: `fn init(settings: Settings) -> Result<Self>`",
        )
    };
    let mut inputs = signature.inputs.iter();
    let argument = match inputs.next() {
        Some(FnArg::Typed(argument)) => Some((*argument.ty).clone()),
        Some(FnArg::Receiver(receiver)) => return Err(wrong(receiver.span())),
        None => None,
    };
    if let Some(second) = inputs.next() {
        return Err(wrong(second.span()));
    }
    let ReturnType::Type(_, output) = &signature.output else {
        return Err(wrong(signature.ident.span()));
    };
    Ok(Init {
        is_async: signature.asyncness.is_some(),
        argument,
        is_infallible: matches!(&**output, Type::Path(path) if path.path.is_ident("Self")),
    })
}
