//! PS3.2: the conformance statement says what the code does; its tables are printed from the code.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use dicom_ul::pdu::{Pdu, write_pdu};
use sagittal::config::schema;
use sagittal::dicom::commitment::Reason;
use sagittal::dicom::{
    CommitmentStatus, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, StoreStatus, services, tables,
};
use sagittal::scp::{Breach, Denial};

const HOW: &str = "printed from the code; UPDATE_GOLDEN=1 cargo test statement";

/// A table of these columns.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

fn statuses<T: Copy>(all: &[T], code: fn(T) -> u16, when: fn(T) -> Option<&'static str>) -> String {
    let row = |status: &T| Some(vec![format!("{:04X}", code(*status)), when(*status)?.to_owned()]);
    table(&["status", "when"], all.iter().filter_map(row))
}

/// The body of a PDU as it goes over the wire.
fn body(pdu: &Pdu) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_pdu(&mut bytes, pdu).unwrap();
    bytes.split_off(6)
}

fn implementation() -> String {
    let rows = [("class UID", IMPLEMENTATION_CLASS_UID), ("version name", IMPLEMENTATION_VERSION_NAME)];
    table(&["implementation", ""], rows.map(|(what, value)| vec![what.to_owned(), value.to_owned()]))
}

/// PS3.8 section 9.3.4: result, source, reason.
fn rejections() -> String {
    let row = |denial: Denial| {
        let [_, result, source, reason] = body(&denial.pdu())[..] else { panic!("{denial:?}") };
        let result = ["", "1 permanent", "2 transient"][usize::from(result)];
        let source = ["", "1 user", "2 provider (ACSE)", "3 provider (presentation)"][usize::from(source)];
        vec![denial.when().to_owned(), result.to_owned(), source.to_owned(), reason.to_string()]
    };
    table(&["when", "result", "source", "reason"], Denial::ALL.map(row))
}

/// PS3.8 section 9.3.8: source, reason.
fn aborts() -> String {
    let row = |breach: Breach| {
        let [_, _, source, reason] = body(&breach.pdu())[..] else { panic!("{breach:?}") };
        vec![breach.when().to_owned(), source.to_string(), reason.to_string()]
    };
    table(&["when", "source", "reason"], Breach::ALL.map(row))
}

fn names(syntaxes: &[&str]) -> String {
    syntaxes.iter().filter_map(|syntax| tables::name_of(syntax)).collect::<Vec<_>>().join(", ")
}

fn proposed() -> String {
    let of_service = |service: services::Proposed| {
        let role = if service.as_provider { "SCP" } else { "SCU" };
        let cells = [service.activity, service.name, service.sop_class, &names(service.transfer_syntaxes), role];
        cells.map(str::to_owned).to_vec()
    };
    let storage = [
        "deliver results, send files",
        "the storage class of each object",
        "section 3",
        "the object's own; where it can be converted, also Explicit VR Little Endian, Implicit VR Little Endian",
        "SCU",
    ];
    let fetched = [
        "take what a C-GET brings",
        "the storage classes found",
        "section 3",
        "Explicit VR Little Endian, Implicit VR Little Endian; each other one of section 3 in a context of its own",
        "SCP",
    ];
    let rows =
        services::PROPOSED.into_iter().map(of_service).chain([storage, fetched].map(|r| r.map(str::to_owned).to_vec()));
    table(&["activity", "abstract syntax", "UID", "transfer syntaxes", "role"], rows)
}

fn accepted() -> String {
    let provided = services::PROVIDED.into_iter().map(|(uid, name, either)| {
        let role = if either { "SCP; SCU for reports" } else { "SCP" };
        [name, uid, &names(&services::PROVIDED_SYNTAXES), role].map(str::to_owned).to_vec()
    });
    let storage =
        ["storage classes, as configured", "section 3", "all of section 3", "SCP"].map(str::to_owned).to_vec();
    table(&["abstract syntax", "UID", "transfer syntaxes", "role"], provided.chain([storage]))
}

fn created() -> String {
    let row = |uid: &str| vec![tables::name_of(uid).unwrap().to_owned(), uid.to_owned()];
    table(&["SOP class", "UID"], sagittal::results::SOP_CLASSES.map(row))
}

/// The tables of `node.toml` that a peer can notice: key, what it is, what holds when it is left out.
fn parameters() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped: toml::Table = fs::read_to_string(root.join("config/node.toml")).unwrap().parse().unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema::of("node").unwrap()).unwrap();
    let mut rows = Vec::new();
    for section in ["node", "receive", "ae", "tls", "storage", "completion", "peer"] {
        let described = &schema["properties"][section];
        let named = described["patternProperties"].as_object().and_then(|named| named.values().next());
        let title = if named.is_some() { format!("{section}.<AE title>") } else { section.to_owned() };
        let mut keys: Vec<_> = named.unwrap_or(described)["properties"].as_object().unwrap().iter().collect();
        keys.sort_by_key(|(key, _)| key.as_str());
        for (key, value) in keys {
            let default = shipped.get(section).and_then(|table| table.get(key));
            let default = default.map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
            rows.push(vec![format!("`[{title}] {key}`"), value["description"].as_str().unwrap().to_owned(), default]);
        }
    }
    table(&["parameter", "meaning", "left out"], rows)
}

fn blocks() -> Vec<(&'static str, String)> {
    let reason = |reason: Reason| vec![format!("{:04X}", reason.code()), reason.when().to_owned()];
    let reasons = table(&["Failure Reason (0008,1197)", "when"], Reason::OURS.map(reason));
    let asked = statuses(&CommitmentStatus::ALL, CommitmentStatus::code, CommitmentStatus::when_asked);
    let told = statuses(&CommitmentStatus::ALL, CommitmentStatus::code, CommitmentStatus::when_told);
    vec![
        ("implementation", implementation()),
        ("accepted presentation contexts", accepted()),
        ("rejections", rejections()),
        ("aborts", aborts()),
        ("statuses of C-STORE", statuses(&StoreStatus::ALL, StoreStatus::code, |status| Some(status.when()))),
        ("statuses of N-ACTION", asked),
        ("failure reasons", reasons),
        ("statuses of N-EVENT-REPORT", told),
        ("proposed presentation contexts", proposed()),
        ("parameters", parameters()),
        ("classes and syntaxes", tables::markdown() + "\n"),
        ("created objects", created()),
    ]
}

#[test]
fn the_tables_of_the_conformance_statement_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance-statement.md");
    let text = fs::read_to_string(&path).unwrap();
    let mut expected = text.clone();
    for (name, block) in blocks() {
        let begin = format!("<!-- begin {name}: {HOW} -->\n");
        let (before, rest) = expected.split_once(&begin).unwrap_or_else(|| panic!("no mark of {name:?}"));
        let (_, after) = rest.split_once("<!-- end -->\n").expect("the end mark");
        expected = format!("{before}{begin}\n{}\n<!-- end -->\n{after}", block.trim_end().to_owned() + "\n");
    }
    let marks = expected.matches("<!-- begin ").count();
    assert_eq!(marks, blocks().len(), "a block that nobody prints");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(text == expected, "conformance-statement.md is out of date: UPDATE_GOLDEN=1 cargo test statement");
}
