//! Every case, by its name.

pub use super::graph::*;
pub use super::jobs::*;
pub use super::news::*;
