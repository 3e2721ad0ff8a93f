//! What the agent is told: settings in layers, each value with its origin.

mod model;
mod values;

pub use model::*;
pub use values::*;
