//! Command sets (PS3.7 section 6.3, annex E).
