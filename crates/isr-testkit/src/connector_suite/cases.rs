//! Every case, by its name.

pub use super::batches::*;
pub use super::faults::*;
pub use super::targets::*;
pub use super::watching::*;
pub use super::worked::*;
