//! Knowledge about io.Connect: its folders, processes, apps and `system.json`.

pub mod apps;
pub mod folders;
pub mod processes;
pub mod setup;
