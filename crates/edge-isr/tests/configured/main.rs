//! What is written in the configuration is what happens.

#[cfg(test)]
mod edge;
#[cfg(test)]
mod layer;
#[cfg(test)]
mod others;
// Within `cfg(test)`, helpers may unwrap as tests do.
#[cfg(test)]
mod support;
