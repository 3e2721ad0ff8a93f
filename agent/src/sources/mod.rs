//! Where the data comes from: this machine, the desktop, the io.Connect processes, io.Connect's log files,
//! and what the platform and its apps send by themselves.

pub mod focus;
pub mod host;
pub mod internal;
pub mod logs;
pub mod processes;
pub mod receiver;
mod sampler;
pub mod saving;
