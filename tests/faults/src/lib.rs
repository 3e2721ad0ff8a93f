//! The fault harness: runs the built agent under random faults, and compares what was written to
//! log files with what arrives.
//!
//! ```text
//! seed ─► schedule.rs ─► run.rs: writes and rotates log files (files.rs, records.rs)
//!                                kills, stops and suspends the agent, sets its clock, fills its disk (process.rs)
//!                                makes the collector unreachable, slow, refusing (collector.rs)
//!                        ─► account.rs: every record arrived once, or is counted
//! ```
//!
//! A seed determines the schedule, but not the timing of the agent. A seed that failed may
//! therefore need several runs to fail again.

#![cfg(target_os = "linux")]

pub mod account;
pub mod collector;
pub mod files;
pub mod process;
pub mod queue_file;
pub mod records;
pub mod run;
pub mod schedule;

pub use run::{Report, run};
