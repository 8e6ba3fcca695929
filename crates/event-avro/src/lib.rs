//! event-avro
