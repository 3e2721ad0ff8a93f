//! What is known of io.Connect: its folders and processes.

pub mod folders;
pub mod processes;
