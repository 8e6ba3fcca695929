//! The one foreign call: librdkafka's own flush.
//!
//! `rdkafka`'s `flush` polls in steps of 100 ms, and its `commit_transaction` calls that flush: every commit would take
//! 100 ms. librdkafka's `rd_kafka_flush` returns as soon as the last acknowledgement has been served, and while it runs
//! it ignores `linger.ms`. Called first, it leaves nothing for the slow one to wait for.

use rdkafka::producer::{Producer as _, ProducerContext, ThreadedProducer};
use std::time::Duration;

/// Waits until every record handed over so far is acknowledged or has failed. `false`: not all were within `timeout`.
///
/// The producer's polling thread serves the delivery reports meanwhile, so the context has seen each of them when this
/// returns `true`.
#[expect(unsafe_code, reason = "rdkafka offers no way to librdkafka's flush but the raw pointer")]
pub(crate) fn flush<C: ProducerContext + 'static>(producer: &ThreadedProducer<C>, timeout: Duration) -> bool {
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let client = producer.client().native_ptr();
    // SAFETY: the pointer belongs to `producer`, which is borrowed and therefore alive for the whole call;
    // `rd_kafka_flush` may be called from any thread at any time in the life of a producer, and takes nothing else.
    let code = unsafe { rdkafka_sys::rd_kafka_flush(client, millis) };
    code == rdkafka_sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}
