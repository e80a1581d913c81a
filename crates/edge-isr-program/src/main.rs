//! The `edge-isr` program.
fn main() {}
