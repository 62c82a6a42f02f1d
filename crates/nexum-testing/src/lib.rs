//! What nexum's tests share.

pub mod guests;
