//! Behaviours of the HTTP capability, against servers over loopback.
