//! Tests filed by section of the standard; each names the rule it checks, quoted where it is one sentence.

mod ps3_4_annex_b;
mod ps3_7;
mod ps3_7_annex_d;
mod ps3_8;
mod statement;
