//! PS3.2: the conformance statement says what the code does; its tables are printed from `dicom::tables`.

use std::fs;
use std::path::Path;

use sagittal::dicom::tables;

const BEGIN: &str = "<!-- begin: generated from src/dicom/tables.rs; UPDATE_GOLDEN=1 cargo test statement -->\n";
const END: &str = "<!-- end -->\n";

#[test]
fn the_tables_of_the_conformance_statement_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance-statement.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the begin mark");
    let (_, after) = rest.split_once(END).expect("the end mark");
    let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", tables::markdown());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(text == expected, "conformance-statement.md is out of date: UPDATE_GOLDEN=1 cargo test statement");
}
