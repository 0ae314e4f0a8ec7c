//! Results: written, refereed, read back, and opened by other people's software.

mod forms;
mod gsps;
mod mutations;
mod peers;
mod placeholder;
mod real;
mod real_readers;
mod round_trip;
mod rtstruct;
mod sc;
mod sr;
mod whole_way;
