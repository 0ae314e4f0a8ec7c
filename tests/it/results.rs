//! Results: written, refereed, read back, and opened by other people's software.

mod compare;
mod forms;
mod gsps;
mod matrix;
mod mutations;
mod pdf;
mod peers;
mod placeholder;
mod real;
mod real_readers;
mod round_trip;
mod rtstruct;
mod sc;
mod source_readers;
mod sources;
mod sr;
mod whole_way;
