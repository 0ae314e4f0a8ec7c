//! The one table of SOP classes and transfer syntaxes.
