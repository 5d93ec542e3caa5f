//! The deploy template: what it lets the function do, and how long its queue bears an outage.

mod needs;
mod outage;
mod permissions;
mod policy;
mod queue;
mod template;
