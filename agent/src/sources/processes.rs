//! Process metrics (to come).
