//! Real processes of edge-isr, killed, stopped and cut off, while it is watched that no invalidation is lost.
//!
//! A run has a Redis that writes everything to a file, four workers, two edges with a Varnish in front, and an
//! origin of its own whose pages show data that have versions. The data change all the time; each change is
//! revalidated. Meanwhile processes are killed and stopped, and what connects them is cut, stalls or refuses.
//!
//! Visitors read pages at every tier all the time. Once a receipt says `settled`, nobody may be shown anything
//! older any more; and an edge never shows anything older than it was told. When the faults have ended,
//! everything that was acknowledged has to be done, and every page at every tier as it is at the origin.
//!
//! Overload is another run: ten times as many revalidations as one edge gets done, with a small queue. The API
//! refuses what finds no room, memory stays bounded, and what was accepted is done.

mod change;
mod child;
mod cluster;
mod faults;
mod http;
mod journal;
mod link;
mod origin;
mod overload;
mod plan;
mod ports;
mod quiet;
mod random;
mod report;
mod run;
mod settings;
mod stage;
mod truth;
mod visit;
mod watch;
mod world;

pub use self::overload::{Overload, overload};
pub use self::plan::Servers;
pub use self::report::Report;
pub use self::run::{Mistakes, Options, torture};
pub use self::stage::Programs;
