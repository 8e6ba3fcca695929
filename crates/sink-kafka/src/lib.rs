//! sink-kafka
