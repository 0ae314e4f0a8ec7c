//! An object while it comes: its bytes go to the spool as they arrive, so that it costs the same memory however large it
//! is. Checks nothing, for nothing can be checked yet; nothing of it counts before it is kept.

use super::{Arrival, IntakeError, arrive, arrive::Note, sender_name};
use crate::dicom::Uid;
use crate::dicom::message::Basket;
use crate::scp::Announced;
use crate::spool::{Draft, Spool};

/// See the module.
#[derive(Debug)]
pub struct Coming(Result<Draft, IntakeError>);

impl Coming {
    pub(super) fn new(spool: &Spool, object: &Announced<'_>) -> Coming {
        // An object that no valid UID names is looked at by a person, and never kept under this one.
        let uid = |text: &str| Uid::parse(text).unwrap_or_else(|_| Uid::derived(&["unnamed"]));
        let arrival = Arrival {
            calling: object.calling,
            called: object.called,
            sender: &sender_name(object.peer),
            association: None,
            sop_class: &uid(object.sop_class),
            sop_instance: &uid(object.sop_instance),
            transfer_syntax: &uid(object.transfer_syntax),
        };
        Coming(draft(spool, &arrival))
    }

    /// What came; or what was in the way of writing it.
    pub(super) fn whole(self) -> Result<Draft, IntakeError> {
        self.0
    }
}

/// A draft of the object that `arrival` names, empty but for its Part 10 head.
pub(super) fn draft(spool: &Spool, arrival: &Arrival<'_>) -> Result<Draft, IntakeError> {
    let (head, note) = (arrive::part10_head(arrival), Note::of(arrival).text()?);
    Ok(spool.draft(arrival.sop_instance, &note, &head)?)
}

impl Basket for Coming {
    fn put(&mut self, bytes: &[u8]) {
        let Ok(draft) = &mut self.0 else { return };
        if let Err(fault) = draft.write(bytes) {
            self.0 = Err(fault.into());
        }
    }

    fn place(&mut self) -> Option<&mut [u8]> {
        if let Err(fault) = self.0.as_mut().ok()?.make_place() {
            self.0 = Err(fault.into());
        }
        Some(self.0.as_mut().ok()?.place())
    }

    fn placed(&mut self, count: usize) {
        if let Ok(draft) = &mut self.0 {
            draft.placed(count);
        }
    }
}
