//! The program as its users run it: real processes, real sockets, exit statuses and what is said.

mod bad_input;
mod process;
mod running;
