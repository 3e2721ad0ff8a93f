//! Log files (to come).
