//! Host metrics (to come).
