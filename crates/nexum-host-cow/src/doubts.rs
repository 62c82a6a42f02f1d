//! The orders whose fate nexum does not know.

use std::collections::VecDeque;

use cowprotocol::OrderUid;
use parking_lot::Mutex;

/// The most orders whose fate is unknown: more than an order book takes within the longest event.
/// nexum forgets the oldest one.
const DOUBTS_MAX: usize = 1_024;

/// The orders whose last submission ended without an answer. The order book may have them. A restart
/// forgets them.
#[derive(Debug, Default)]
pub(crate) struct Doubts(Mutex<VecDeque<OrderUid>>);

impl Doubts {
    pub(crate) fn has(&self, uid: &OrderUid) -> bool {
        self.0.lock().contains(uid)
    }

    pub(crate) fn add(&self, uid: OrderUid) {
        let mut doubts = self.0.lock();
        if doubts.contains(&uid) {
            return;
        }
        if doubts.len() == DOUBTS_MAX {
            doubts.pop_front();
        }
        doubts.push_back(uid);
    }

    pub(crate) fn remove(&self, uid: &OrderUid) {
        self.0.lock().retain(|known| known != uid);
    }
}
