//! A server that counts what it handles, and treats each request as a test says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::server::{Heard, Reply, Server, answer};

/// The server's treatment of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Handles it, and answers with 200.
    Handle,
    /// Answers with 400, and does nothing.
    Refuse,
    /// Answers with 503, and does nothing.
    Trouble,
    /// Closes the connection, and does nothing.
    CutBefore,
    /// Handles it, and closes the connection.
    CutAfter,
    /// Handles it, and never answers.
    HangAfter,
    /// Handles it, and points to a resource that does not exist.
    SeeOther,
}

/// Looks at each request of the module before its treatment.
type Look = Box<dyn Fn(&Heard) + Send + Sync>;

#[derive(Default)]
struct State {
    treatments: BTreeMap<String, VecDeque<Treatment>>,
    answers: BTreeMap<String, VecDeque<String>>,
    handled: BTreeMap<String, usize>,
    heard: Vec<Heard>,
    doubtful: BTreeSet<String>,
    look: Option<Look>,
}

/// The knowledge of the server. An identity is a method and a path without its query. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<State>>);

impl Ledger {
    pub(super) async fn serve(&self) -> Server {
        let ledger = self.clone();
        Server::start(move |heard| ledger.reply(heard)).await
    }

    /// Treats the next requests with this identity so, and handles later ones.
    pub(super) fn treat(&self, identity: &str, treatments: &[Treatment]) {
        let treatments = treatments.iter().copied().collect();
        self.0.lock().treatments.insert(identity.to_owned(), treatments);
    }

    /// Answers the next GETs of a path with these bodies, and later ones with the last of them.
    pub(super) fn answer(&self, path: &str, bodies: &[&str]) {
        let bodies = bodies.iter().map(|body| (*body).to_owned()).collect();
        self.0.lock().answers.insert(path.to_owned(), bodies);
    }

    /// Looks at each writing request before its treatment.
    pub(super) fn look(&self, look: impl Fn(&Heard) + Send + Sync + 'static) {
        self.0.lock().look = Some(Box::new(look));
    }

    /// How often the server has handled the request with this identity.
    pub(super) fn handled(&self, identity: &str) -> usize {
        self.0.lock().handled.get(identity).copied().unwrap_or(0)
    }

    /// The identities that the server has handled, with their numbers.
    pub(super) fn all_handled(&self) -> BTreeMap<String, usize> {
        self.0.lock().handled.clone()
    }

    /// The writing requests with this identity.
    pub(super) fn heard(&self, identity: &str) -> Vec<Heard> {
        let is_it = |heard: &&Heard| name(heard) == identity;
        self.0.lock().heard.iter().filter(is_it).cloned().collect()
    }

    /// Whether the client of the request has not learned what became of it.
    pub(super) fn is_doubtful(&self, identity: &str) -> bool {
        self.0.lock().doubtful.contains(identity)
    }

    /// Notes that the client has ended, and so learns nothing of these requests.
    pub(super) fn doubt(&self, identities: impl IntoIterator<Item = String>) {
        self.0.lock().doubtful.extend(identities);
    }

    fn reply(&self, heard: &Heard) -> Reply {
        let mut state = self.0.lock();
        if heard.method == "GET" {
            let bodies = state.answers.get_mut(&heard.path);
            let body = bodies.and_then(|bodies| match bodies.len() {
                0 | 1 => bodies.front().cloned(),
                _ => bodies.pop_front(),
            });
            return match heard.path.as_str() {
                "/absent" => answer(404, &[], ""),
                _ => answer(200, &[], body.unwrap_or_default()),
            };
        }
        if let Some(look) = &state.look {
            look(heard);
        }
        let name = name(heard);
        state.heard.push(heard.clone());
        let treatments = state.treatments.get_mut(&name);
        let treatment = treatments.and_then(VecDeque::pop_front).unwrap_or(Treatment::Handle);
        use Treatment::{CutAfter, CutBefore, Handle, HangAfter, Refuse, SeeOther, Trouble};
        if matches!(treatment, Handle | CutAfter | HangAfter | SeeOther) {
            *state.handled.entry(name.clone()).or_default() += 1;
        }
        if matches!(treatment, Trouble | CutBefore | CutAfter | HangAfter) {
            state.doubtful.insert(name);
        }
        match treatment {
            Handle => answer(200, &[], "handled"),
            Refuse => answer(400, &[], "refused"),
            Trouble => answer(503, &[], "not now"),
            CutBefore | CutAfter => Reply::Last(Vec::new()),
            HangAfter => Reply::Hang(Vec::new()),
            SeeOther => answer(303, &[("location", "/absent")], ""),
        }
    }
}

fn name(heard: &Heard) -> String {
    let (path, _) = heard.path.split_once('?').unwrap_or((&heard.path, ""));
    format!("{} {path}", heard.method)
}
