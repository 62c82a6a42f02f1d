//! The checks of a round, beside the comparison with the chains.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::book::Counts;
use crate::{
    cluster::{Change, SCHEMA},
    postgres::Server,
};

/// Puts a recorder before the function that writes.
///
/// The recorder notes, in the transaction of each write, whose rows it changes, who writes, and who owns the
/// module at that time. The rows of a module are its progress, its keys and its undo records: one byte for the
/// kind, and then the module's number, which the row with the module's name has as its value.
const RECORDER: &str = "
CREATE TABLE torture_commit (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    module text NOT NULL, writer text NOT NULL, owner text, ownership bigint
);

ALTER FUNCTION nexum_write RENAME TO torture_write;

CREATE FUNCTION nexum_write(
    writer text, writer_epoch bigint, keys bytea[], new_values bytea[], deleted bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM torture_write(writer, writer_epoch, keys, new_values, deleted);
    INSERT INTO torture_commit (module, writer, owner, ownership)
        SELECT named.name, writer, g.node, g.epoch
        FROM (
            SELECT DISTINCT substr(key, 2, 4) AS number FROM unnest(keys || deleted) AS key
            WHERE chr(get_byte(key, 0)) IN ('c', 's', 'u')
        ) AS changed
        JOIN (
            SELECT value AS number, convert_from(substr(key, 2), 'UTF8') AS name FROM nexum_rows
            WHERE key >= 'm' AND key < 'n'
        ) AS named USING (number)
        LEFT JOIN nexum_group AS g ON g.grp = named.name;
END
$$;
";

/// All commits of one writer for one module in one ownership.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reign {
    pub(super) module: String,
    pub(super) writer: String,
    /// The owner of the module at the time of the commits. Empty without one.
    pub(super) owner: String,
    pub(super) ownership: u64,
    /// The numbers of the first and the last commit.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) commits: u64,
}

/// Puts the recorder into a database whose tables exist.
pub(super) fn record(server: &Server) -> Result<()> {
    server
        .text(&format!("SET search_path TO {SCHEMA}; {RECORDER}"))
        .map(drop)
}

/// The commits that the recorder has noted.
pub(super) fn reigns(server: &Server) -> Result<Vec<Reign>> {
    let reigns = format!(
        "SELECT module, writer, owner, coalesce(ownership, 0), min(id), max(id), count(*) \
         FROM {SCHEMA}.torture_commit GROUP BY 1, 2, 3, 4 ORDER BY 1, 5"
    );
    server.query(&reigns)?.iter().map(|row| reign(row)).collect()
}

fn reign(row: &[String]) -> Result<Reign> {
    let [module, writer, owner, ownership, first, last, commits] = row else {
        bail!("cannot parse a row of the recorder: {row:?}");
    };
    Ok(Reign {
        module: module.clone(),
        writer: writer.clone(),
        owner: owner.clone(),
        ownership: ownership.parse()?,
        first: first.parse()?,
        last: last.parse()?,
        commits: commits.parse()?,
    })
}

/// Fails unless each commit is its owner's, and the ownerships of each module follow each other. `reigns` are
/// sorted by the module and the first commit.
pub(super) fn judge_reigns(reigns: &[Reign]) -> Result<()> {
    ensure!(!reigns.is_empty(), "the recorder has noted no commit");
    for reign in reigns {
        ensure!(
            reign.writer == reign.owner,
            "{} wrote for {}, which {} owned: {reign:?}",
            reign.writer,
            reign.module,
            if reign.owner.is_empty() {
                "no node"
            } else {
                &reign.owner
            }
        );
    }
    for pair in reigns.windows(2) {
        let [before, after] = pair else { continue };
        ensure!(
            before.module != after.module || (before.last < after.first && before.ownership < after.ownership),
            "the commits of two ownerships are interleaved: {before:?} and {after:?}"
        );
    }
    Ok(())
}

/// Fails unless the epoch of each group grows with each change of its owner, and only a free group gets one.
pub(super) fn judge_history(changes: &[Change]) -> Result<()> {
    let mut last: BTreeMap<&str, &Change> = BTreeMap::new();
    for change in changes {
        if let Some(before) = last.insert(&change.group, change) {
            ensure!(
                before.epoch < change.epoch,
                "the epoch of {} does not grow: {before:?} and {change:?}",
                change.group
            );
            ensure!(
                before.to == change.from,
                "{} changes from a node that does not own it: {before:?} and {change:?}",
                change.group
            );
        }
    }
    Ok(())
}

/// Fails unless the order book has each due order once, and no other one. `due` is the number of due orders of
/// each trader. An order after the head may have been posted in a block that is gone.
pub(super) fn judge_orders(counts: &[Vec<Counts>], due: usize) -> Result<()> {
    for (trader, counts) in counts.iter().enumerate() {
        for (order, counts) in counts.iter().enumerate() {
            ensure!(
                counts.stored <= 1,
                "order {order} of trader {trader} is in the order book {} times",
                counts.stored
            );
            ensure!(
                counts.posts >= counts.stored,
                "the order book has order {order} of trader {trader}, and no post of it"
            );
            ensure!(
                order >= due || counts.stored == 1,
                "order {order} of trader {trader} is not in the order book; it was posted {} times",
                counts.posts
            );
        }
    }
    Ok(())
}

/// Fails unless each module runs in exactly one process. `running` has the modules of each process.
pub(super) fn judge_runners(modules: &[String], running: &[Vec<String>]) -> Result<()> {
    for module in modules {
        let processes = running.iter().flatten().filter(|name| *name == module).count();
        ensure!(processes == 1, "{module} runs in {processes} processes");
    }
    Ok(())
}

/// The nodes that own groups, with the number of groups.
pub(super) fn owners(server: &Server) -> Result<BTreeMap<String, usize>> {
    let owners = format!("SELECT node, count(*) FROM {SCHEMA}.nexum_group GROUP BY 1");
    let owner = |row: Vec<String>| {
        let [node, count] = &row[..] else {
            bail!("cannot parse {row:?}");
        };
        Ok((node.clone(), count.parse().context("not a count")?))
    };
    server.query(&owners)?.into_iter().map(owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reign(module: &str, writer: &str, ownership: u64, commits: std::ops::RangeInclusive<u64>) -> Reign {
        Reign {
            module: module.to_owned(),
            writer: writer.to_owned(),
            owner: writer.to_owned(),
            ownership,
            first: *commits.start(),
            last: *commits.end(),
            commits: 1,
        }
    }

    #[test]
    fn finds_a_commit_of_a_node_that_does_not_own_the_module() {
        let good = [reign("a", "x", 1, 1..=5), reign("b", "y", 1, 2..=9)];
        judge_reigns(&good).expect("no fault");
        for owner in ["", "y"] {
            let mut bad = good.clone();
            bad[0].owner = owner.to_owned();
            assert!(judge_reigns(&bad).is_err(), "{owner}");
        }
        assert!(judge_reigns(&[]).is_err());
    }

    #[test]
    fn finds_commits_of_two_ownerships_that_are_interleaved() {
        let first = reign("a", "x", 1, 1..=5);
        judge_reigns(&[first.clone(), reign("a", "y", 3, 6..=7)]).expect("no fault");
        for (second, why) in [
            (
                reign("a", "y", 3, 5..=7),
                "its first commit is before the last one of the other",
            ),
            (reign("a", "x", 3, 4..=4), "one node in two ownerships"),
            (reign("a", "y", 1, 6..=7), "one ownership of two nodes"),
        ] {
            assert!(judge_reigns(&[first.clone(), second]).is_err(), "{why}");
        }
    }

    fn change(group: &str, from: &str, to: &str, epoch: u64) -> Change {
        Change {
            group: group.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            epoch,
            at: 0.0,
        }
    }

    #[test]
    fn finds_an_epoch_that_does_not_grow() {
        let good = [
            change("a", "", "x", 1),
            change("b", "", "x", 1),
            change("a", "x", "", 2),
            change("a", "", "y", 3),
        ];
        judge_history(&good).expect("no fault");
        for epoch in [1, 2] {
            let mut bad = good.clone();
            bad[3].epoch = epoch;
            assert!(judge_history(&bad).is_err(), "{epoch}");
        }
    }

    #[test]
    fn finds_a_group_that_gets_a_second_owner() {
        let bad = [change("a", "", "x", 1), change("a", "", "y", 2)];
        assert!(judge_history(&bad).is_err());
    }

    #[test]
    fn finds_an_order_that_is_missing_doubled_or_of_nobody() {
        let counts = |posts, stored| Counts { posts, stored };
        let good = vec![vec![counts(1, 1), counts(3, 1), counts(1, 1), counts(0, 0)]];
        judge_orders(&good, 2).expect("no fault");
        for bad in [counts(1, 0), counts(0, 0), counts(2, 2), counts(0, 1)] {
            let mut orders = good.clone();
            orders[0][1] = bad;
            assert!(judge_orders(&orders, 2).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn finds_a_module_that_runs_twice_or_not_at_all() {
        let names = |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
        let all = names(&["a", "b"]);
        judge_runners(&all, &[names(&["a"]), names(&["b"])]).expect("no fault");
        for (first, second) in [(&["a"][..], &["a", "b"][..]), (&["a"], &[])] {
            assert!(judge_runners(&all, &[names(first), names(second)]).is_err());
        }
    }
}
