//! The head of a DICOM file: preamble, `DICM`, and the file meta group (PS3.10 section 7.1).

use dicom_object::FileMetaTableBuilder;

use super::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Uid};

/// Why no head could be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the file meta group cannot be written: {0}")]
pub struct Part10Error(String);

/// Everything that stands before the data set of `sop_instance` in a file. `source_ae` is the sender's AE
/// title, where there was one.
pub fn part10_head(
    sop_class: &Uid,
    sop_instance: &Uid,
    transfer_syntax: &Uid,
    source_ae: Option<&str>,
) -> Result<Vec<u8>, Part10Error> {
    let builder = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(sop_class.as_str())
        .media_storage_sop_instance_uid(sop_instance.as_str())
        .transfer_syntax(transfer_syntax.as_str())
        .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
        .implementation_version_name(IMPLEMENTATION_VERSION_NAME);
    let builder = match source_ae {
        Some(title) => builder.source_application_entity_title(title),
        None => builder,
    };
    let meta = builder.build().map_err(|error| Part10Error(error.to_string()))?;
    let mut head = vec![0_u8; 128];
    head.extend_from_slice(b"DICM");
    meta.write(&mut head).map_err(|error| Part10Error(error.to_string()))?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_behind_the_head_is_a_file() {
        let uid = |text| Uid::parse(text).unwrap();
        let head =
            part10_head(&uid("1.2.840.10008.5.1.4.1.1.4"), &uid("1.2.3"), &uid("1.2.840.10008.1.2"), Some("CT1"));
        let file = dicom_object::from_reader(head.unwrap().as_slice()).unwrap();
        assert_eq!(file.meta().media_storage_sop_instance_uid(), "1.2.3");
        assert_eq!(file.meta().source_application_entity_title.as_deref().map(str::trim), Some("CT1"));
    }
}
