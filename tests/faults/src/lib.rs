//! The agent under faults: what is written to log files, against what arrives.
//!
//! ```text
//! seed ─► schedule.rs ─► run.rs: log files written and rotated (files.rs, records.rs)
//!                                the built agent killed, stopped, suspended, its clock and its disk (process.rs)
//!                                the collector away, slow, refusing (collector.rs)
//!                        ─► account.rs: every record is there once, or counted
//! ```
//!
//! A schedule follows from its seed alone; when the agent does what in it does not. So a seed that failed may need
//! several runs to fail again.

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
