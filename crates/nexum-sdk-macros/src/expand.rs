//! The code of a module.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Ident, Type};

use crate::handler::{Handler, Init};
use crate::parse::Module;
use crate::subscription::{Kind, Part};

/// The `impl`, and the trait that the host calls. With errors, the `impl` alone.
pub(crate) fn expand(module: &Module, errors: Option<Error>) -> TokenStream {
    let item = &module.item;
    if let Some(errors) = errors {
        let errors = errors.into_compile_error();
        return quote!(#item #errors);
    }
    let name = &item.self_ty;
    let parts = manifest(module);
    let checks = checks(&module.handlers);
    let start = start(name, module.init.as_ref());
    let (queries, events): (Vec<_>, Vec<_>) = module.handlers.iter().partition(|h| matches!(h.kind, Kind::Query));
    let handle = (!events.is_empty()).then(|| handle(&events));
    let evaluate = queries.first().map(|query| evaluate(query));
    let exports = [
        handle.as_ref().map(|_| quote!(events)),
        evaluate.as_ref().map(|_| quote!(query)),
    ];
    let exports = exports.into_iter().flatten();
    let takes_logs = events.iter().any(|h| matches!(h.kind, Kind::Event(_) | Kind::Logs));
    quote! {
        #item

        const _: () = {
            const PARTS: &[::nexum_sdk::manifest::Part] = &[#(#parts),*];
            #checks
            const LEN: usize = ::nexum_sdk::manifest::len(PARTS);

            // The section has the bytes themselves, so that it needs no relocation.
            #[cfg_attr(target_arch = "wasm32", used, unsafe(link_section = "nexum:manifest"))]
            static MANIFEST: [u8; LEN] = ::nexum_sdk::manifest::concat(PARTS);

            #[automatically_derived]
            impl ::nexum_sdk::Module for #name {
                const NAME: &'static str = ::core::env!("CARGO_PKG_NAME");
                const MANIFEST: &'static str = {
                    const TEXT: [u8; LEN] = ::nexum_sdk::manifest::concat(PARTS);
                    ::nexum_sdk::manifest::text(&TEXT)
                };

                const TAKES_LOGS: bool = #takes_logs;

                fn start(
                    config: &[(::std::string::String, ::std::string::String)],
                ) -> ::nexum_sdk::Result<Self> {
                    #start
                }

                #handle

                #evaluate
            }

            #[cfg(target_arch = "wasm32")]
            ::nexum_sdk::__export!(#name: #(#exports),*);

            // A native build has no exports, so nothing else uses the module there.
            #[allow(dead_code)]
            fn used() {
                let _ = (&MANIFEST, <#name as ::nexum_sdk::Module>::start);
            }
        };
    }
}

/// The parts of the manifest's text, with neighbouring texts joined.
fn manifest(module: &Module) -> Vec<TokenStream> {
    let mut text = "{".to_owned();
    if !module.capabilities.is_empty() {
        let members = module
            .capabilities
            .iter()
            .map(|(key, json)| format!("\"{key}\":{json}"));
        text += &format!("\"capabilities\":{{{}}},", members.collect::<Vec<_>>().join(","));
    }
    text += "\"subscription\":[";
    let mut parts = Vec::new();
    let subscriptions = module.handlers.iter().flat_map(|handler| &handler.subscriptions);
    let tables = subscriptions.map(|each| &each.parts).filter(|parts| !parts.is_empty());
    for (at, table) in tables.enumerate() {
        if at > 0 {
            text.push(',');
        }
        for part in table {
            match part {
                Part::Text(more) => text += more,
                Part::Signature(event) => {
                    parts.push(quote!(::nexum_sdk::manifest::Part::Text(#text)));
                    text.clear();
                    parts.push(quote_spanned! {event.span()=>
                        ::nexum_sdk::manifest::Part::Hash(<#event as ::nexum_sdk::sol_types::SolEvent>::SIGNATURE_HASH)
                    });
                }
            }
        }
    }
    text += "]}";
    parts.push(quote!(::nexum_sdk::manifest::Part::Text(#text)));
    parts
}

/// The checks of the events' types.
fn checks(handlers: &[Handler]) -> TokenStream {
    let events: Vec<_> = handlers
        .iter()
        .filter_map(|handler| match &handler.kind {
            Kind::Event(event) => Some((handler, &**event)),
            _ => None,
        })
        .collect();
    let signatures = events.iter().map(|(_, event)| has_signature(event));
    let pairs = events.iter().enumerate().flat_map(|(at, (handler, event))| {
        let before = events.iter().take(at).filter(|(before, _)| before.covers(handler));
        before.map(|(_, before)| differs(before, event))
    });
    quote!(#(#signatures)* #(#pairs)*)
}

/// Refuses an event whose logs all go to the handler of an event before it.
fn differs(before: &Type, event: &Type) -> TokenStream {
    quote_spanned! {event.span()=>
        const _: () = ::core::assert!(
            !::nexum_sdk::manifest::is_one_event::<#before, #event>(),
            "a handler before this one takes all logs of this event, which has another type there: \
             use one handler, or set a different `address` or `chain_id`",
        );
    }
}

/// Refuses an event that no subscription can select.
fn has_signature(event: &Type) -> TokenStream {
    quote_spanned! {event.span()=>
        const _: () = ::core::assert!(
            !<#event as ::nexum_sdk::sol_types::SolEvent>::ANONYMOUS,
            "an anonymous event has no signature: use `#[on_logs]`",
        );
    }
}

fn start(name: &Type, init: Option<&Init>) -> TokenStream {
    let Some(init) = init else {
        let default = quote_spanned!(name.span()=> <#name as ::core::default::Default>::default());
        return quote! {
            ::nexum_sdk::config::refuse(config)?;
            ::core::result::Result::Ok(#default)
        };
    };
    let read = match &init.argument {
        Some(settings) => quote_spanned! {settings.span()=>
            let settings = ::nexum_sdk::config::read::<#settings>(config)?;
        },
        None => quote!(::nexum_sdk::config::refuse(config)?;),
    };
    let argument = init.argument.as_ref().map(|_| quote!(settings));
    let call = quote!(Self::init(#argument));
    let made = match (init.is_async, init.is_infallible) {
        (false, false) => call,
        (false, true) => quote!(::core::result::Result::Ok(#call)),
        (true, false) => quote!(::nexum_sdk::block_on(#call)),
        (true, true) => quote!(::nexum_sdk::block_on(async { ::core::result::Result::Ok(#call.await) })),
    };
    quote!(#read #made)
}

fn handle(handlers: &[&Handler]) -> TokenStream {
    let is = |wanted: fn(&Kind) -> bool| handlers.iter().find(move |handler| wanted(&handler.kind));
    let arm = |handler: Option<&&Handler>, variant: TokenStream| {
        let call = call(handler?, "event");
        Some(quote!(::nexum_sdk::Event::#variant(event) => #call,))
    };
    let block = arm(is(|kind| matches!(kind, Kind::Block)), quote!(Block));
    let tick = arm(is(|kind| matches!(kind, Kind::Tick)), quote!(Tick));
    let message = arm(is(|kind| matches!(kind, Kind::Message)), quote!(Message));
    let logs = logs(handlers, is(|kind| matches!(kind, Kind::Logs)).copied());
    quote! {
        fn handle(&mut self, event: ::nexum_sdk::Event) -> ::nexum_sdk::Result {
            match event {
                #block
                #logs
                #tick
                #message
                // The operator's manifest has a subscription without a handler.
                #[allow(unreachable_patterns)]
                _ => ::core::result::Result::Ok(()),
            }
        }
    }
}

/// Each log goes to the first handler whose event, chain and address it has, and the others to
/// `#[on_logs]`.
fn logs(handlers: &[&Handler], others: Option<&Handler>) -> Option<TokenStream> {
    let takes_logs = |handler: &&&Handler| matches!(handler.kind, Kind::Event(_) | Kind::Logs);
    // The host tests the chain and the address for a single handler.
    let is_only = handlers.iter().filter(takes_logs).count() == 1;
    let takers: Vec<_> = handlers
        .iter()
        .filter_map(|handler| match &handler.kind {
            Kind::Event(event) => {
                let test = if is_only { None } else { handler.test() };
                Some(taker(handler, event, test))
            }
            _ => None,
        })
        .collect();
    let variant = quote!(::nexum_sdk::Event::Logs(logs));
    match (takers.is_empty(), others) {
        (true, None) => None,
        (true, Some(others)) => {
            let call = call(others, "logs");
            Some(quote!(#variant => #call,))
        }
        (false, None) => Some(quote! {
            #variant => {
                for log in logs {
                    #(#takers)*
                    let _ = log;
                }
                ::core::result::Result::Ok(())
            }
        }),
        (false, Some(others)) => {
            let call = call(others, "rest");
            Some(quote! {
                #variant => {
                    let mut rest = ::std::vec::Vec::new();
                    for log in logs {
                        #(#takers)*
                        rest.push(log);
                    }
                    if rest.is_empty() {
                        return ::core::result::Result::Ok(());
                    }
                    #call
                }
            })
        }
    }
}

fn taker(handler: &Handler, event: &Type, test: Option<TokenStream>) -> TokenStream {
    let call = call(handler, "decoded");
    let decode = quote!(decode);
    let bind = quote_spanned!(event.span()=> let #decode = ::nexum_sdk::Decoded::<#event>::try_from_log;);
    let decoded = match test {
        Some(test) => quote!(if #test { decode(log) } else { ::core::result::Result::Err(log) }),
        None => quote!(decode(log)),
    };
    quote! {
        #bind
        let decoded = #decoded;
        let log = match decoded {
            ::core::result::Result::Ok(decoded) => {
                #call?;
                continue;
            }
            ::core::result::Result::Err(log) => log,
        };
    }
}

fn evaluate(query: &Handler) -> TokenStream {
    let name = &query.name;
    let (read, argument) = match &query.argument {
        Some(input) => (
            quote_spanned!(input.span()=> let input = <#input as ::nexum_sdk::QueryInput>::from_bytes(input)?;),
            Some(quote!(input)),
        ),
        None => (quote!(let _ = input;), None),
    };
    let answer = awaited(query, quote!(Self::#name(self, #argument)));
    let output = query.output.span();
    let write = quote_spanned!(output=> ::nexum_sdk::QueryOutput::into_bytes(answer));
    quote! {
        fn evaluate(&mut self, input: ::std::vec::Vec<u8>) -> ::nexum_sdk::Result<::std::vec::Vec<u8>> {
            #read
            let answer = #answer?;
            #write
        }
    }
}

/// The call of a handler with the variable that has its event. Errors in the types point to the types
/// that the author wrote.
fn call(handler: &Handler, event: &str) -> TokenStream {
    let name = &handler.name;
    let (bind, argument) = match &handler.argument {
        Some(argument) => {
            let event = Ident::new(event, argument.span().resolved_at(Span::call_site()));
            let bind = quote_spanned!(argument.span()=> let argument: #argument = #event;);
            (bind, Some(quote!(argument)))
        }
        None => {
            let event = Ident::new(event, Span::call_site());
            (quote!(let _ = #event;), None)
        }
    };
    // A path finds the author's function before a function of the trait with its name.
    let call = awaited(handler, quote!(Self::#name(self, #argument)));
    let output = handler.output.span();
    quote_spanned! {output=>
        {
            #bind
            let result: ::nexum_sdk::Result = #call;
            result
        }
    }
}

fn awaited(handler: &Handler, call: TokenStream) -> TokenStream {
    match handler.is_async {
        true => quote!(::nexum_sdk::block_on(#call)),
        false => call,
    }
}
