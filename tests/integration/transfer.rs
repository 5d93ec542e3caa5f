//! Objects of any size and form, from one region to another and from one service to another.

mod edges;
mod fan_out;
mod forms;
mod resume;
