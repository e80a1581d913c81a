//! Behaviour suites, model servers and helpers for the tests and benches of edge-isr.
