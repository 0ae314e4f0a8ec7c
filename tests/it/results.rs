//! Results: written, refereed, read back, and opened by other people's software.

mod forms;
mod mutations;
mod peers;
mod placeholder;
mod round_trip;
mod rtstruct;
mod sc;
mod sr;
mod whole_way;
