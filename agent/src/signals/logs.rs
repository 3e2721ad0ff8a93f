//! Attributes of log records (to come).
