//! The order book of a run, a process of its own.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{nexum, process};

/// The program, an example of `nexum-testing`.
const PROGRAM: &str = "order-book";

/// Builds the program.
pub(super) fn build() -> Result<()> {
    nexum::build_with(PROGRAM, false).map(drop)
}

/// An order book that accepts the orders of a few traders. Dropping it ends it.
pub(super) struct Book {
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    url: String,
    /// The orders of each trader.
    orders: Vec<Vec<Value>>,
}

/// The counts of one order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counts {
    pub(super) posts: u64,
    pub(super) stored: u64,
}

impl Book {
    /// Starts an order book for so many traders with so many orders each.
    pub(super) fn start(programs: &Path, traders: usize, orders: usize) -> Result<Self> {
        let mut command = Command::new(programs.join("examples").join(PROGRAM));
        command.args([traders.to_string(), orders.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = command.spawn();
        let mut child = spawned.with_context(|| format!("cannot start `{}`", process::line(&command)))?;
        let questions = child.stdin.take().context("the order book has no input")?;
        let output = child.stdout.take().context("the order book has no output")?;
        let mut book = Self {
            child,
            questions,
            answers: BufReader::new(output).lines(),
            url: String::new(),
            orders: Vec::new(),
        };
        book.url = book.line()?;
        for _ in 0..traders {
            let orders = serde_json::from_str(&book.line()?)?;
            book.orders.push(orders);
        }
        Ok(book)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The orders of each trader.
    pub(super) fn orders(&self) -> &[Vec<Value>] {
        &self.orders
    }

    /// The counts of each trader's orders.
    pub(super) fn counts(&mut self) -> Result<Vec<Vec<Counts>>> {
        writeln!(self.questions)?;
        self.questions.flush()?;
        let counts: Vec<Vec<(u64, u64)>> = serde_json::from_str(&self.line()?)?;
        let of_trader = |counts: Vec<(u64, u64)>| {
            let counts = counts.into_iter().map(|(posts, stored)| Counts { posts, stored });
            counts.collect()
        };
        Ok(counts.into_iter().map(of_trader).collect())
    }

    fn line(&mut self) -> Result<String> {
        Ok(self.answers.next().context("the order book has ended")??)
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
