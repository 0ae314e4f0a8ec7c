//! The referee's worth: single defects, each of which must be caught under its rule. `make mutation` prints what
//! dciodvfy and dcentvfy make of the same objects.

mod compare;
mod gsps;
mod pdf;
mod rtstruct;
mod sc;
mod seg;
mod sr;

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_object::DefaultDicomObject;
use sagittal::dicom::Dataset;
use sagittal::results::verify::Fault;

use crate::support::phantom::Series;

/// What is changed, under which rule that must be noticed, and the change.
type Mutation = (&'static str, &'static str, fn(&mut DefaultDicomObject));

/// The bytes of a golden object after a change.
fn changed(golden: &[u8], (name, _, change): &Mutation) -> Vec<u8> {
    let mut object = dicom_object::from_reader(Cursor::new(golden)).unwrap();
    change(&mut object);
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).unwrap();
    assert!(bytes != golden, "{name} changed nothing");
    bytes
}

/// Has every mutation judged; with SAGITTAL_MUTATION in the environment, prints the validators' score beside.
fn score(kind: &str, mutations: &[Mutation], series: &Series, golden: &[u8], judge: &dyn Fn(&[u8]) -> Vec<Fault>) {
    assert_eq!(judge(golden), []);
    let validators = std::env::var_os("SAGITTAL_MUTATION").and_then(|_| Validators::new(series, golden));
    let (mut missed, mut by_validators) = (Vec::new(), 0);
    for mutation in mutations {
        let (name, rule, _) = mutation;
        let bytes = changed(golden, mutation);
        let faults = judge(&bytes);
        if !faults.iter().any(|fault| fault.rule == *rule) {
            missed.push(format!("{name}: {rule} expected, found {faults:?}"));
        }
        if let Some(validators) = &validators {
            let noticed = validators.notice(&bytes);
            by_validators += usize::from(noticed);
            println!("{kind:9} {name:28} referee {rule:4} validators {}", if noticed { "yes" } else { "no" });
        }
    }
    if validators.is_some() {
        let (all, caught) = (mutations.len(), mutations.len() - missed.len());
        println!("{kind:9} referee {caught} of {all}, dciodvfy and dcentvfy {by_validators} of {all}");
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// dciodvfy and dcentvfy: a defect is noticed when they print another line than about the sound object.
struct Validators {
    folder: tempfile::TempDir,
    sound: BTreeSet<String>,
}

impl Validators {
    fn new(series: &Series, golden: &[u8]) -> Option<Validators> {
        let folder = tempfile::tempdir().unwrap();
        if !tool("dciodvfy").exists() {
            println!("the validators are not installed: `make peers`");
            return None;
        }
        for (k, file) in series.instances().iter().enumerate() {
            std::fs::write(folder.path().join(format!("{k:04}.dcm")), file).unwrap();
        }
        let mut validators = Validators { folder, sound: BTreeSet::new() };
        validators.sound = validators.said(golden);
        Some(validators)
    }

    fn notice(&self, bytes: &[u8]) -> bool {
        self.said(bytes) != self.sound
    }

    fn said(&self, bytes: &[u8]) -> BTreeSet<String> {
        let object = self.folder.path().join("result.dcm");
        std::fs::write(&object, bytes).unwrap();
        let files = || std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        let done = [
            Command::new(tool("dciodvfy")).arg(&object).output().unwrap(),
            Command::new(tool("dcentvfy")).args(files()).output().unwrap(),
        ];
        let text = done.into_iter().flat_map(|done| [done.stdout, done.stderr]).flatten().collect::<Vec<u8>>();
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }
}

fn tool(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/peers/bin").join(name)
}

fn set(dataset: &mut Dataset, tag: Tag, vr: VR, value: &str) {
    put(dataset, tag, vr, value.into());
}

fn put(dataset: &mut Dataset, tag: Tag, vr: VR, value: PrimitiveValue) {
    dataset.put(DataElement::new(tag, vr, Value::from(value)));
}

fn texts(values: &[f64]) -> PrimitiveValue {
    PrimitiveValue::Strs(values.iter().map(ToString::to_string).collect())
}

fn each(dataset: &mut Dataset, tag: Tag, mut change: impl FnMut(&mut Dataset, usize)) {
    dataset.update_value(tag, |value| {
        value.items_mut().unwrap().iter_mut().enumerate().for_each(|(index, item)| change(item, index));
    });
}

/// Changes the first item of a sequence.
fn inside(dataset: &mut Dataset, tag: Tag, mut change: impl FnMut(&mut Dataset)) {
    each(dataset, tag, |item, index| {
        if index == 0 {
            change(item);
        }
    });
}
