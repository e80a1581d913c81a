//! The connectors that a process knows, by their kind.

mod registry;
mod section;

pub use self::registry::{ConnectorKind, Registry};
pub use self::section::Section;
