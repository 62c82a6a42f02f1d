//! Messages to and from other nodes.

use crate::{Message, Result, host};

/// Publishes a message to a topic.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for an operator without a messaging
/// network.
pub fn publish(content_topic: &str, payload: &[u8]) -> Result {
    host::publish(content_topic, payload)
}

/// A search for stored messages of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    content_topic: String,
    start_time: Option<u64>,
    end_time: Option<u64>,
    limit: Option<u32>,
}

impl Query {
    /// All messages of a topic.
    pub fn new(content_topic: impl Into<String>) -> Self {
        Self {
            content_topic: content_topic.into(),
            start_time: None,
            end_time: None,
            limit: None,
        }
    }

    /// Limits the search to messages from this time on, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn from(mut self, ms: u64) -> Self {
        self.start_time = Some(ms);
        self
    }

    /// Limits the search to messages until this time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn until(mut self, ms: u64) -> Self {
        self.end_time = Some(ms);
        self
    }

    /// Limits the number of messages.
    #[must_use]
    pub fn limit(mut self, count: u32) -> Self {
        self.limit = Some(count);
        self
    }

    /// The messages.
    ///
    /// # Errors
    ///
    /// The failures of the messaging network.
    pub fn send(&self) -> Result<Vec<Message>> {
        host::stored_messages(&self.content_topic, self.start_time, self.end_time, self.limit)
    }
}
