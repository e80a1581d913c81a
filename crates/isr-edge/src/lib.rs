//! The shared HTTP cache built into edge-isr, as a tower service.
