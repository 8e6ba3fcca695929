//! What becomes of memory that was freed.

/// Sets the C library's allocator, which is librdkafka's and ours, up for batches. Set by hand, its limits stay as they are
/// (`mallopt(3)`); by itself it would take its limit for mappings from the largest that was freed. To be called before any
/// other thread is started.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library's own call")]
pub fn prepare() {
    // Freed memory at the end of the heap that is kept for the next batch. A batch's records come and go together: given back
    // to the system, their pages would have to be cleared and mapped again for each batch (four of five page faults, and a
    // fifteenth of all CPU, while a log is drained).
    const KEPT: i32 = 16 << 20;
    // What is larger is mapped by itself, and given back as soon as it is freed: a very large row. A request of librdkafka, a
    // little over 1 MiB, must not be, nor a chunk of a snapshot, a little over 2.
    const MAPPED: i32 = 4 << 20;
    // SAFETY: the call takes two numbers and keeps no pointer.
    let is_set = unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT) & libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED) };
    if is_set != 1 {
        tracing::debug!("the allocator keeps its own limits");
    }
}

/// Other C libraries have other allocators, which know no such limits.
#[cfg(not(target_env = "gnu"))]
pub fn prepare() {}
