//! What can go wrong.

use std::io;

use rusqlite::{ErrorCode, ffi};

/// What can go wrong with the queue's file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer agent has written it.
    #[error("the queue has format {found}, this program knows up to {known}")]
    Newer {
        /// Its format.
        found: i64,
        /// The newest known here.
        known: i64,
    },
    /// SQLite says no.
    #[error("the queue's database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// It is not what this program has written.
    #[error("{0}")]
    Damaged(&'static str),
    /// Something went wrong before, and it is not yet time to try again.
    #[error("{0}")]
    Fault(String),
    /// The file system says no.
    #[error("the queue's file: {0}")]
    Io(#[from] io::Error),
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room; later there may be.
    #[error("the queue is full")]
    Full,
    /// It could not be written; later it may be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue has ended.
    #[error("the queue is closed")]
    Closed,
}

impl StoreError {
    /// Whether the file as it is cannot be used, now or later: all that SQLite says of a file and not of its
    /// surroundings. Bytes that the disk does not give back are damage too.
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

    /// Whether the open file can still be read: there is no room, or another program is at it.
    pub(super) fn is_momentary(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ),
            Self::Newer { .. } | Self::Damaged(_) | Self::Fault(_) | Self::Io(_) => false,
        }
    }
}
