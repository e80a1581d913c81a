//! Every metric of edge-isr, declared once, with the Prometheus registry and the text endpoint.
//!
//! [`declarations`] is the table of all there is: name, kind, unit, labels with every value they may
//! have, and help. [`Metrics`] registers exactly that table and takes note of every
//! [`Event`](isr_core::Event) of the engine; [`Metrics::render`] writes what a scrape of `/metrics`
//! gets, and [`reference()`] writes the table as a page of documentation. Names follow Prometheus'
//! conventions: base units, a unit as suffix, `_total` for what only grows.
//!
//! The number of series is bounded before anything happens. Every label has a closed set of values,
//! every series exists from the start, at zero, and a value that is not in its set counts as
//! `other`. So nothing that a visitor sends can add a series, and recording an event neither
//! allocates nor locks.

mod declaration;
pub mod declarations;
mod metrics;
mod process;
mod reference;
mod series;

pub use declaration::{Declaration, Kind, Label, Unit, Values};
pub use metrics::{CONTENT_TYPE, Metrics};
pub use reference::reference;
