//! A destination that sends nothing: the job says what would have left the node. For shadow rules and trials.

use super::attempt::{Consignment, Outcome, Record};
use crate::dicom::{Answer, tables};

/// Notes every object of `consignment` as reported.
pub(super) fn deliver(name: &str, consignment: Consignment<'_>, record: &mut Record) -> Outcome {
    for object in consignment.objects {
        let class = tables::name_of(object.sop_class.as_str()).unwrap_or(object.sop_class.as_str());
        tracing::info!(destination = name, instance = %object.sop_instance, class, "would have been sent");
        record.note(&object.sop_instance, Answer::Reported);
    }
    Outcome::Reported
}
