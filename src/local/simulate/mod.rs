//! The simulation: the real reconcile under any schedule, in virtual time, millions at a time.
//!
//! A seed gives a [`Plan`], which is data; running it draws no more randomness. The oracle looks
//! at the world at rest, from outside. A plan that ends badly is made small by [`shrink`], and
//! shown as a recording that `replay` reads, with a story beside it.
//!
//! Reading order: `plan`, `configuration`, `generate` (what happens); `model` and `sdk` (where it
//! happens), `campaign` (how often); `oracle` (whether it was right); `mutant` (whether the oracle notices); `shrink`, `story`,
//! `recorded` (what a person sees).

mod campaign;
mod configuration;
mod generate;
mod model;
mod mutant;
mod oracle;
mod plan;
mod random;
mod recorded;
mod sdk;
mod shrink;
mod story;
mod trace;

pub use campaign::{Layer, Tally, campaign};
pub use configuration::{Configuration, UnknownConfiguration};
pub use generate::generate;
pub use mutant::{Mutant, Rules, UnknownMutant};
pub use oracle::{Divergence, Problem, Run};
pub use plan::{
    Acknowledged, Delays, Delivery, Disturbance, Effect, Micros, Operation, Outage, Plan, Shape,
    State, What,
};
pub use recorded::recorded;
pub use shrink::shrink;
pub use story::story;
pub use trace::Trace;
