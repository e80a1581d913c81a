//! The batched, throttled crawler that refills the caches of edge-isr after a purge.
