//! Whether every value keeps the limits of its representation (PS3.5 section 6.2), at any depth.

use std::collections::HashSet;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::mem::InMemElement;

use super::Fault;
use crate::dicom::{Dataset, Uid, keyword_of};
use crate::results::SourceSeries;
use crate::results::modules::COPIED;

/// What the encoding allows: the 16-bit lengths of Explicit VR, or the 32-bit ones of Implicit VR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lengths {
    Short,
    Long,
}

pub(super) fn check(object: &Dataset, source: &SourceSeries, lengths: Lengths) -> Vec<Fault> {
    let mut faults = Vec::new();
    // What refers to the source must say what the source says, well-formed or not.
    let mut foreign: HashSet<&str> = source.slices().iter().map(|s| s.instance.as_str()).collect();
    foreign.extend([source.study(), source.series()].into_iter().chain(source.frame_of_reference()).map(Uid::as_str));
    for element in object {
        // Copied values are the source's, right or wrong: V1 holds them to that.
        let copied = COPIED.contains(&element.header().tag);
        if !copied && element.header().tag != tags::PIXEL_DATA {
            walk(element, &foreign, lengths, &mut faults);
        }
    }
    faults
}

fn walk(element: &InMemElement, foreign: &HashSet<&str>, lengths: Lengths, faults: &mut Vec<Fault>) {
    let tag = element.header().tag;
    if let Some(items) = element.value().items() {
        let elements = items.iter().flat_map(IntoIterator::into_iter);
        elements.for_each(|inner| walk(inner, foreign, lengths, faults));
        return;
    }
    if tag.group() % 2 == 1 {
        faults.push(Fault::new("C13", format!("the private attribute ({tag}) was written")));
    }
    let Ok(values) = element.value().to_multi_str() else { return };
    let vr = element.vr();
    let short_length = lengths == Lengths::Short && !matches!(vr, VR::OB | VR::OW | VR::UT | VR::UC | VR::UR | VR::UN);
    let length = match vr {
        VR::US | VR::SS => values.len() * 2,
        VR::FL | VR::UL | VR::SL | VR::AT => values.len() * 4,
        VR::FD => values.len() * 8,
        _ => values.iter().map(|value| value.len() + 1).sum::<usize>().saturating_sub(1),
    };
    if short_length && length > 65534 {
        faults.push(Fault::new("V11", format!("{} exceeds the 65534 bytes of its length field", keyword_of(tag))));
    }
    let values = values.iter().map(|value| value.trim_end_matches([' ', '\0']));
    let mut own = values.filter(|value| !(vr == VR::UI && foreign.contains(value)));
    faults.extend(own.find_map(|value| outside_limits(tag, vr, value)));
}

fn outside_limits(tag: Tag, vr: VR, value: &str) -> Option<Fault> {
    let name = || keyword_of(tag);
    let characters = value.chars().count();
    match vr {
        VR::DS if value.len() > 16 => Some(Fault::new("C14", format!("{} has a value of over 16 characters", name()))),
        VR::UI if !uid_is_sound(value) => Some(Fault::new("C5", format!("{} is no well-formed UID", name()))),
        VR::SH | VR::CS if characters > 16 => Some(Fault::new("V11", format!("{} has over 16 characters", name()))),
        VR::LO if characters > 64 => Some(Fault::new("V11", format!("{} has over 64 characters", name()))),
        _ => None,
    }
}

/// At most 64 characters, and no component with a leading zero.
fn uid_is_sound(uid: &str) -> bool {
    let component =
        |c: &str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_digit()) && (c == "0" || !c.starts_with('0'));
    uid.len() <= 64 && uid.split('.').all(component)
}
