//! What is known of io.Connect: its folders, processes and apps.

pub mod apps;
pub mod folders;
pub mod processes;
pub mod setup;
