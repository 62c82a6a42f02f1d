//! The attribute `#[module]` of the crate `nexum-sdk`. See its documentation.

mod arguments;
mod expand;
mod handler;
mod nearest;
mod parse;
mod schedule;
mod scope;
mod subscription;

use proc_macro::TokenStream;

/// Makes a type a module: put this attribute on the type's `impl`.
///
/// `fn init(settings: T) -> Result<Self>` creates an instance. `T` is any type with
/// `serde::Deserialize`, read from the configuration. The argument can be left out. Without `init`,
/// the type's `Default` creates the instance.
///
/// Other methods become handlers by their attribute. Each can be `async`, and its argument can be
/// left out:
///
/// | attribute | argument | subscription |
/// |---|---|---|
/// | `#[on_block(chain_id = 1)]` | `Block` | blocks |
/// | `#[on_event(Transfer, chain_id = 1)]` | `Decoded<Transfer>` | one event of contracts, from `sol!` |
/// | `#[on_logs(chain_id = 1)]` | `Vec<Log>` | logs. The method gets those that no `#[on_event]` takes |
/// | `#[on_tick("*/5 * * * *")]` | `Tick` | a schedule, in UTC |
/// | `#[on_message]` | `Message` | messages |
/// | `#[query]` | `Vec<u8>`, `String` or `Json<T>` | none: the method returns `Result` of one of these |
///
/// The attributes take the keys of the manifest's `[[subscription]]`. A chain or an address that the
/// operator chooses can be left out; the manifest then names it. Several attributes on one method
/// are several subscriptions.
///
/// `#[module(optional = ["http"])]` names capabilities that the module can work without.
#[proc_macro_attribute]
pub fn module(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::ItemImpl);
    let (module, errors) = parse::module(arguments.into(), item);
    expand::expand(&module, errors).into()
}
