//! The back-ends of the state store.
