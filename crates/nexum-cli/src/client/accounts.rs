//! `nexum account`: shows and syncs the accounts of the running daemon, and lists their transactions.

use hyper::Method;
use nexum_config::harmless::harmless;

use super::Client;
use super::logs::query;
use super::show::sized;
use super::status::{WIDE_COLUMNS_MIN, now_ms};
use crate::args::{Account as Command, Format};
use crate::exit_code::{FAILED, STOPPED};
use crate::protocol::accounts::{
    ACCOUNTS, Account, AccountChain, AccountLimits, AccountState, AmountLimit, CountLimit, Sync, Synced, TRANSACTIONS,
    Transaction,
};
use crate::report::print::{json_on_stdout, outln};
use crate::report::{Refusals, span};

/// The columns of a narrow table of transactions. The lines below it have the others.
const COLUMNS_NARROW: usize = 6;

/// Asks the running daemon.
pub(crate) fn account(client: &Client<'_>, command: &Command) -> Result<u8, Refusals> {
    match command {
        // The configuration has everything.
        Command::List { .. } => Ok(STOPPED),
        Command::Show { account, format } => show(&client.get(&format!("{ACCOUNTS}/{account}"))?, *format),
        Command::Pending { account, all, format } => {
            let path = query(
                TRANSACTIONS,
                &[
                    ("account", account.as_ref().map(ToString::to_string)),
                    ("settled", Some(all.to_string())),
                ],
            );
            pending(&client.get::<Vec<Transaction>>(&path)?, *format)
        }
        Command::Sync {
            account,
            chain,
            why,
            format,
        } => {
            let path = format!("{ACCOUNTS}/{account}/sync");
            let synced = client
                .because(why)
                .ask(Method::POST, &path, &Sync { chain_id: *chain })?;
            match format {
                Format::Json => json_on_stdout(&synced)?,
                Format::Text => outln!("{}", text_of_synced(&synced)),
            }
            Ok(STOPPED)
        }
    }
}

/// Prints one account. Returns the exit code.
///
/// # Errors
///
/// If stdout cannot be written.
pub(crate) fn show(account: &Account, format: Format) -> Result<u8, Refusals> {
    match format {
        Format::Json => json_on_stdout(account)?,
        Format::Text => outln!("{}", text_of_account(account, None, now_ms())),
    }
    let is_halted = account.chains.iter().any(|chain| chain.state == AccountState::Halted);
    Ok(if is_halted { FAILED } else { STOPPED })
}

/// The facts of an account, a table of its chains with the reasons below, and a table of its modules.
fn text_of_account(account: &Account, columns: Option<u16>, now_ms: u64) -> String {
    let facts = [
        ("name", &account.name),
        ("address", &account.address),
        ("signer", &account.signer),
    ];
    let facts = facts.map(|(name, value)| format!("{name:<9}{}", harmless(value)));
    let mut blocks = vec![facts.join("\n")];
    if account.chains.is_empty() {
        blocks.push("nexum has sent nothing from the account".to_owned());
    } else {
        let mut chains = sized(
            &["CHAIN", "STATE", "NEXT NONCE", "PENDING", "UNSETTLED", "OLDEST"],
            columns,
        );
        for chain in &account.chains {
            chains.add_row(chain_cells(chain, now_ms));
        }
        blocks.push(chains.to_string());
        let reasons: Vec<_> = account
            .chains
            .iter()
            .filter_map(|chain| reason(chain, now_ms))
            .collect();
        if !reasons.is_empty() {
            blocks.push(reasons.join("\n"));
        }
    }
    if !account.modules.is_empty() {
        let header = [
            "MODULE",
            "MAY SIGN",
            "LAST HOUR",
            "IN FLIGHT",
            "FEES OF THE DAY",
            "VALUE OF THE DAY",
        ];
        let mut modules = sized(&header, columns);
        for module in &account.modules {
            let [hour, flight, fees, value] = module.limits.as_ref().map_or_else(no_limits, limit_cells);
            let (name, allowed) = (harmless(&module.module), harmless(&module.may_sign));
            modules.add_row([name.into_owned(), allowed.into_owned(), hour, flight, fees, value]);
        }
        blocks.push(modules.to_string());
    }
    blocks.join("\n\n")
}

fn chain_cells(chain: &AccountChain, now_ms: u64) -> [String; 6] {
    let age = |since_ms| span(now_ms.saturating_sub(since_ms));
    [
        chain.chain_id.to_string(),
        chain.state.word().to_owned(),
        chain.next_nonce.to_string(),
        chain.pending.to_string(),
        chain.unsettled.to_string(),
        chain.oldest_ms.map_or_else(|| "-".to_owned(), age),
    ]
}

/// Why the account is halted on a chain, or why its first transaction waits.
fn reason(chain: &AccountChain, now_ms: u64) -> Option<String> {
    let reason = harmless(chain.reason.as_deref()?);
    let since = chain
        .since_ms
        .map(|since| format!(" for {}", span(now_ms.saturating_sub(since))));
    let since = since.unwrap_or_default();
    Some(format!(
        "chain {}: {}{since}: {reason}",
        chain.chain_id,
        chain.state.word()
    ))
}

fn no_limits() -> [String; 4] {
    ["-", "-", "-", "-"].map(str::to_owned)
}

fn limit_cells(limits: &AccountLimits) -> [String; 4] {
    let count = |CountLimit { used, limit }: &CountLimit| format!("{used} of {limit}");
    let amount = |AmountLimit { used, limit }: &AmountLimit| format!("{} of {} ether", harmless(used), harmless(limit));
    [
        count(&limits.per_hour),
        count(&limits.in_flight),
        amount(&limits.fee_per_day),
        amount(&limits.value_per_day),
    ]
}

/// Prints transactions. Returns the exit code.
///
/// # Errors
///
/// If stdout cannot be written.
pub(crate) fn pending(transactions: &[Transaction], format: Format) -> Result<u8, Refusals> {
    match format {
        Format::Json => json_on_stdout(transactions)?,
        Format::Text if transactions.is_empty() => outln!("each transaction is in a block that is settled"),
        Format::Text => outln!("{}", text_of_list(transactions, None, now_ms())),
    }
    Ok(STOPPED)
}

/// A table of transactions, and below it the reason of each, with the values that a narrow table has no column for.
fn text_of_list(transactions: &[Transaction], columns: Option<u16>, now_ms: u64) -> String {
    let width = sized(&[], columns).width();
    let is_wide = width.is_none_or(|width| width >= WIDE_COLUMNS_MIN);
    let header = [
        "ACCOUNT", "CHAIN", "NONCE", "STATE", "AGE", "MODULE", "EVENT", "VERSIONS", "FEE", "HASH",
    ];
    let shown = if is_wide { header.len() } else { COLUMNS_NARROW };
    let mut rows = sized(&header[..shown], columns);
    let mut lines = Vec::new();
    for one in transactions {
        let cells = [
            harmless(&one.account).into_owned(),
            one.chain_id.to_string(),
            one.nonce.to_string(),
            one.state.word().to_owned(),
            span(now_ms.saturating_sub(one.since_ms)),
            harmless(&one.module).into_owned(),
            harmless(&one.event).into_owned(),
            one.versions.to_string(),
            format!("{} gwei, tip {}", harmless(&one.max_fee_gwei), harmless(&one.tip_gwei)),
            harmless(&one.hash).into_owned(),
        ];
        let (account, chain, nonce) = (&cells[0], one.chain_id, one.nonce);
        lines.push(format!(
            "{account}, chain {chain}, nonce {nonce}: {}",
            harmless(&one.reason)
        ));
        if !is_wide {
            let [.., event, versions, fee, hash] = &cells;
            lines.push(format!("  event {event}, versions {versions}, fee {fee}"));
            lines.push(format!("  {hash}"));
        }
        rows.add_row(cells.into_iter().take(shown));
    }
    format!("{rows}\n\n{}", lines.join("\n"))
}

/// A line for each chain.
fn text_of_synced(synced: &Synced) -> String {
    let account = harmless(&synced.account);
    if synced.chains.is_empty() {
        return format!("nexum has sent nothing from {account}: there is nothing to sync");
    }
    let lines = synced.chains.iter().map(|chain| {
        let nonce = match chain.nonce_before == chain.next_nonce {
            true => format!("the next nonce stays {}", chain.next_nonce),
            false => format!("the next nonce was {} and is {}", chain.nonce_before, chain.next_nonce),
        };
        let halt = match &chain.halt {
            Some(reason) => format!("; nexum sends again, after the halt: {}", harmless(reason)),
            None => "; the account was not halted".to_owned(),
        };
        format!("{account} on chain {}: {nonce}{halt}", chain.chain_id)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A time of the test, in milliseconds since the Unix epoch.
    const NOW_MS: u64 = 1_767_225_600_000;

    const HALT: &str = "the chain has 8 transactions of the account, and nexum knows of 7: another program uses the key. \
                        Look at the account, and run `nexum account sync treasury`";

    fn transactions() -> Vec<Transaction> {
        let one = |more: serde_json::Value| {
            let mut one = json!({
                "account": "treasury", "chain_id": 11_155_111, "nonce": 7, "state": "pending",
                "reason": "no block has taken it for 5 blocks: a block takes 60 gwei per gas, and it may pay 50",
                "module": "keeper-of-the-treasury", "event": "11155111@finalized:21000000:logs", "to": null,
                "value": "0", "hash": format!("0x{}", "1f".repeat(32)), "versions": 3, "max_fee_gwei": "48.35",
                "tip_gwei": "1.5", "since_ms": NOW_MS - 900_000, "block": null, "fee": null,
            });
            let fields = one.as_object_mut().expect("an object");
            fields.extend(more.as_object().expect("an object").clone());
            serde_json::from_value(one).expect("a message")
        };
        let mined = json!({
            "nonce": 6, "state": "unsettled", "block": 21_000_007, "module": "m\u{1b}[2J", "fee": "0.001",
            "reason": "block 21000007 has it, and a reorganisation can still remove it",
        });
        vec![one(mined), one(json!({}))]
    }

    #[test]
    fn the_list_of_transactions_fits_80_and_200_columns_and_both_show_every_value() {
        for columns in [80, 200] {
            let text = text_of_list(&transactions(), Some(columns), NOW_MS);
            let table = text.split("\n\n").next().unwrap_or_default();
            for line in table.lines() {
                assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
            }
            let lines: Vec<_> = text.lines().map(str::trim_end).collect();
            insta::assert_snapshot!(format!("transactions_{columns}"), lines.join("\n"));
        }
    }

    #[test]
    fn an_account_is_shown_with_its_halt_and_its_limits() {
        let account = json!({
            "name": "treasury", "address": "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23", "signer": "keystore",
            "modules": [
                { "module": "signer", "may_sign": "messages" },
                { "module": "keeper", "may_sign": "transactions", "limits": {
                    "per_hour": { "used": 3, "limit": 20 }, "in_flight": { "used": 1, "limit": 4 },
                    "fee_per_day": { "used": "0.00123", "limit": "0.05" },
                    "value_per_day": { "used": "0", "limit": "1" },
                } },
            ],
            "chains": [
                { "chain_id": 1, "state": "halted", "reason": HALT, "since_ms": NOW_MS - 64_000, "next_nonce": 7,
                  "pending": 1, "unsettled": 2, "oldest_ms": NOW_MS - 900_000 },
                { "chain_id": 100, "state": "ready", "reason": null, "since_ms": null, "next_nonce": 0, "pending": 0,
                  "unsettled": 0, "oldest_ms": null },
            ],
        });
        let account: Account = serde_json::from_value(account).expect("a message");
        for columns in [80, 200] {
            let text = text_of_account(&account, Some(columns), NOW_MS);
            let lines: Vec<_> = text.lines().map(str::trim_end).collect();
            insta::assert_snapshot!(format!("account_{columns}"), lines.join("\n"));
        }
    }

    #[test]
    fn a_sync_says_what_has_changed() {
        let synced = |chains| {
            let synced = json!({ "account": "treasury", "chains": chains });
            text_of_synced(&serde_json::from_value(synced).expect("a message"))
        };
        assert_eq!(
            synced(json!([])),
            "nexum has sent nothing from treasury: there is nothing to sync"
        );
        let chains = json!([
            { "chain_id": 1, "nonce_before": 7, "next_nonce": 8, "halt": "another program uses the key" },
            { "chain_id": 100, "nonce_before": 3, "next_nonce": 3 },
        ]);
        assert_eq!(
            synced(chains),
            "treasury on chain 1: the next nonce was 7 and is 8; nexum sends again, after the halt: another program uses the key\n\
             treasury on chain 100: the next nonce stays 3; the account was not halted"
        );
    }
}
