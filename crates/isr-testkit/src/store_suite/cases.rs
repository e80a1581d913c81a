//! Every case, by its name.

pub use super::budget::*;
pub use super::graph::*;
pub use super::holding::*;
pub use super::jobs::*;
pub use super::judging::*;
pub use super::listing::*;
pub use super::looking::*;
pub use super::news::*;
pub use super::scheduling::*;
