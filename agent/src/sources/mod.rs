//! Where the data comes from: this machine, the desktop, the io.Connect processes, and io.Connect's log files.

pub mod focus;
pub mod host;
pub mod logs;
pub mod processes;
mod sampler;
