//! The revalidation state machine of edge-isr: resolve, plan, purge, confirm, warm, verify.
