//! What `verify` and `sync` share: their arguments, what they print, and how they are interrupted.

pub(super) mod arguments;
pub(super) mod ending;
pub(super) mod form;
pub(super) mod interrupt;
pub(super) mod opened;
pub(super) mod patterns;
pub(super) mod progress;
pub(super) mod table;
