//! Signatures of a module, whichever way it asks for them: the budget, the rules, the record and the count.

use alloy_primitives::{Address, B256};
use nexum_accounts::{Allowed, Grant, MESSAGE_BYTES_MAX, Preimage, TypedMessage};
use nexum_config::causes::Causes;
use nexum_config::hint::Hint as _;
use nexum_config::limits::Limit;
use nexum_core::bindings::nexum::host::types::HostError;
use nexum_core::capability::{Asked, Handler, HostCallKind, View};
use tokio::time::{Instant, timeout_at};

use crate::error::IdentityError;
use crate::metrics;

/// The kind of a signature among the requests that a trial does not carry out. Its stand-in is zero, which no contract
/// accepts.
const SIGNATURE: &str = "signature";
const SIGNATURE_BYTES: usize = 65;

/// The target of the records.
const TARGET: &str = "nexum::identity";

/// Signs a message as `personal_sign` does: 65 bytes, of which the last one is 27 or 28.
///
/// # Errors
///
/// When the event exceeds a budget; inside, why the module gets no signature.
pub(crate) async fn sign<S>(
    view: &mut View<'_, S>,
    grants: &[Grant],
    account: &[u8],
    message: &[u8],
) -> wasmtime::Result<Result<Vec<u8>, HostError>> {
    view.spend_call(message.len())?;
    view.scope.spend(Limit::Signatures, 1)?;
    let place = match view.ask(Kind::Message.name(), &[account, message])? {
        Asked::Earlier(answer) => return Ok(answer),
        Asked::Now(place) => place,
    };
    let signed = signed(view, grants, (account, message), Kind::Message, |grant| {
        let checked = grant.check_message(message).map_err(IdentityError::from);
        // No rule allows a longer message, and its digest would take the host's time.
        let is_short = message.len() as u64 <= MESSAGE_BYTES_MAX;
        Decoded {
            digest: is_short.then(|| Preimage::of_message(message).digest()),
            checked: checked.map(|allowed| (allowed, Preimage::of_message(message))),
        }
    });
    let answer = signed.await.map_err(|error| error.to_host_error());
    place.answered(&answer);
    Ok(answer)
}

/// Signs typed data (EIP-712): 65 bytes, as [`sign`].
///
/// # Errors
///
/// As [`sign`].
pub(crate) async fn sign_typed_data<S>(
    view: &mut View<'_, S>,
    grants: &[Grant],
    account: &[u8],
    typed_data: &str,
) -> wasmtime::Result<Result<Vec<u8>, HostError>> {
    view.spend_call(typed_data.len())?;
    view.scope.spend(Limit::Signatures, 1)?;
    let place = match view.ask(Kind::TypedData.name(), &[account, typed_data.as_bytes()])? {
        Asked::Earlier(answer) => return Ok(answer),
        Asked::Now(place) => place,
    };
    let signed = signed(
        view,
        grants,
        (account, typed_data.as_bytes()),
        Kind::TypedData,
        |grant| match TypedMessage::parse(typed_data) {
            Ok(data) => Decoded {
                digest: Some(data.preimage().digest()),
                checked: grant
                    .check_typed_data(&data)
                    .map(|allowed| (allowed, data.preimage().clone()))
                    .map_err(IdentityError::from),
            },
            Err(error) => Decoded {
                digest: None,
                checked: Err(error.into()),
            },
        },
    );
    let answer = signed.await.map_err(|error| error.to_host_error());
    place.answered(&answer);
    Ok(answer)
}

/// The kind of a signature.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Message,
    TypedData,
}

impl Kind {
    /// The label in metrics and logs.
    fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::TypedData => "typed_data",
        }
    }

    /// The function of the interface.
    fn method(self) -> &'static str {
        match self {
            Self::Message => "sign",
            Self::TypedData => "sign-typed-data",
        }
    }
}

/// The bytes to sign and the rule that allows them, or the reason against it.
struct Decoded {
    /// The digest, for the log. `None` for data that is malformed.
    digest: Option<B256>,
    checked: Result<(Allowed, Preimage), IdentityError>,
}

/// Signs what `decode` returns of the content, with a record and a count of the outcome.
async fn signed<S>(
    view: &mut View<'_, S>,
    grants: &[Grant],
    (account, content): (&[u8], &[u8]),
    kind: Kind,
    decode: impl FnOnce(&Grant) -> Decoded,
) -> Result<Vec<u8>, IdentityError> {
    let began = Instant::now();
    let meta = view.meta;
    let mut record = Record {
        module: meta.name.as_str(),
        handler: view.scope.handler(),
        account: None,
        kind,
        digest: None,
        rule: None,
    };
    let signed = attempt(view, grants, (account, content), decode, &mut record).await;
    metrics::count(kind.name(), signed.as_ref().err(), began.elapsed());
    record.write(signed.as_ref().err());
    signed
}

/// Notes in the record what it learns, also if it fails then.
async fn attempt<S>(
    view: &mut View<'_, S>,
    grants: &[Grant],
    (account, content): (&[u8], &[u8]),
    decode: impl FnOnce(&Grant) -> Decoded,
    record: &mut Record<'_>,
) -> Result<Vec<u8>, IdentityError> {
    let call = view.host_call(HostCallKind::Other, record.kind.method());
    let grant = granted(view, grants, account)?;
    record.account = Some(grant.account().name().to_string());
    let decoded = decode(grant);
    record.digest = decoded.digest;
    let (allowed, preimage) = decoded.checked?;
    record.rule = Some(allowed.rule);
    let name = grant.account().name().to_string();
    if let Some(withheld) = view.withheld(SIGNATURE, &name, content, &[0; SIGNATURE_BYTES]) {
        return withheld.map_err(IdentityError::Withheld);
    }
    if let Some(endpoint) = grant.account().endpoint() {
        call.endpoint(&endpoint);
    }
    let signed = match timeout_at(view.scope.answer_by(), grant.account().sign(&preimage)).await {
        Ok(signature) => signature.map_err(IdentityError::from),
        Err(_) => Err(IdentityError::Deadline),
    };
    let signature = signed.map(|signature| signature.as_bytes().to_vec());
    let length = signature.as_ref().map(Vec::len);
    call.ends(length.map_err(|error| error.to_host_error().kind));
    signature
}

/// The grant of the module for this account.
fn granted<'a, S>(view: &View<'_, S>, grants: &'a [Grant], account: &[u8]) -> Result<&'a Grant, IdentityError> {
    // The core links stubs of `identity` for queries, but not of `chain`.
    if matches!(view.scope.handler(), Handler::Evaluate(_) | Handler::ListFunctions) {
        return Err(IdentityError::Query);
    }
    let bytes = account.len();
    let address = Address::try_from(account).map_err(|_| IdentityError::NotAnAddress { bytes })?;
    let grant = grants.iter().find(|grant| grant.account().address() == address);
    grant.ok_or(IdentityError::NoGrant(address))
}

/// One record of the log.
struct Record<'a> {
    module: &'a str,
    handler: Handler,
    account: Option<String>,
    kind: Kind,
    digest: Option<B256>,
    rule: Option<String>,
}

impl Record<'_> {
    fn write(&self, error: Option<&IdentityError>) {
        let event = match self.handler.event() {
            Some(event) => event.to_string(),
            None => self.handler.name().to_owned(),
        };
        let (module, event, kind) = (self.module, event.as_str(), self.kind.name());
        let (account, rule) = (self.account.as_deref(), self.rule.as_deref());
        let digest = self.digest.map(tracing::field::display);
        match error {
            None => tracing::info!(target: TARGET, module, event, account, kind, digest, rule, "signed"),
            Some(IdentityError::Refused(refusal)) => tracing::warn!(
                target: TARGET,
                module,
                event,
                account,
                kind,
                digest,
                rule = refusal.rule,
                reason = refusal.reason,
                hint = refusal.hint(),
                "refused to sign"
            ),
            Some(error @ (IdentityError::Sign(_) | IdentityError::Deadline)) => tracing::error!(
                target: TARGET,
                module,
                event,
                account,
                kind,
                digest,
                rule,
                error = %Causes(error),
                "could not sign"
            ),
            Some(error) => {
                tracing::warn!(target: TARGET, module, event, account, kind, digest, reason = %error, "refused to sign");
            }
        }
    }
}
