//! Tests filed by section of the standard; each quotes the sentence it checks.

mod ps3_4_annex_b;
mod ps3_7;
mod ps3_8;
mod statement;
