//! Several nodes of one installation: each module runs on one node at a time, through failures of nodes, of
//! the database, and of the connections between them.

mod faults;
mod journal;
mod link;
mod operator;
mod process;
mod together;
mod world;
