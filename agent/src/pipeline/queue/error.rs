//! Errors of the queue.

use std::io;

use rusqlite::{ErrorCode, ffi};

/// An error of the queue file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file was written by a newer agent.
    #[error("the queue file has format {found}, but this agent supports formats up to {known}")]
    Newer {
        /// Format of the file.
        found: i64,
        /// Newest format that this agent supports.
        known: i64,
    },
    /// An error from SQLite.
    #[error("queue database error: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The content is not what the agent wrote.
    #[error("{0}")]
    Damaged(&'static str),
    /// An earlier fault persists and it is not yet time to retry. Contains the message of the
    /// fault.
    #[error("{0}")]
    Fault(String),
    /// An error from the file system.
    #[error("queue file error: {0}")]
    Io(#[from] io::Error),
}

/// Why data was not added to the queue.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room now; there may be later.
    #[error("the queue is full")]
    Full,
    /// Writing failed; it may succeed later.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue thread has ended.
    #[error("the queue is closed")]
    Closed,
}

impl StoreError {
    /// Returns whether the file itself is unusable, now and later.
    ///
    /// This covers every SQLite error about the file's content, as opposed to its surroundings
    /// (disk, permissions, locks). Bytes that the disk fails to return also count as damage.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Newer { .. } | Self::Damaged(_) => true,
            Self::Fault(_) | Self::Io(_) => false,
            Self::Sqlite(error) => match error.sqlite_error() {
                None => true,
                Some(error) => match error.code {
                    ErrorCode::SystemIoFailure => matches!(
                        error.extended_code,
                        ffi::SQLITE_IOERR_READ
                            | ffi::SQLITE_IOERR_SHORT_READ
                            | ffi::SQLITE_IOERR_CORRUPTFS
                            | ffi::SQLITE_IOERR_DATA
                    ),
                    ErrorCode::PermissionDenied
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::OutOfMemory
                    | ErrorCode::ReadOnly
                    | ErrorCode::OperationInterrupted
                    | ErrorCode::DiskFull
                    | ErrorCode::CannotOpen
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::NoLargeFileSupport
                    | ErrorCode::AuthorizationForStatementDenied => false,
                    _ => true,
                },
            },
        }
    }

    /// Returns whether the open file can still be read: the disk is full, or another program holds
    /// a lock.
    pub(super) fn leaves_file_readable(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ),
            Self::Newer { .. } | Self::Damaged(_) | Self::Fault(_) | Self::Io(_) => false,
        }
    }
}
