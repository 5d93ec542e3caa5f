//! `verify` and `sync` as users run them: the real program against stores, drift made by hand.

mod bad_input;
mod deletes;
mod interrupted;
mod inventory;
mod listings;
pub(crate) mod place;
pub(crate) mod repairs;
mod scope;
mod services;
