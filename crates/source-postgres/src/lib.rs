//! source-postgres
