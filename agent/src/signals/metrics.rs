//! Metrics (to come).
