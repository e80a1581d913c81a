//! Every metric of edge-isr, declared once, with the Prometheus registry and the text endpoint.
