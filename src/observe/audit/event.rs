//! What an audit trail tells of (PS3.15 section A.5.3).

use std::collections::BTreeMap;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Started,
    Stopped,
    /// An association or a TLS connection was refused.
    TurnedAway {
        peer: Peer,
        why: String,
    },
    /// Somebody changed what the node does with its data.
    Acted {
        who: String,
        what: String,
    },
    /// Other rules came into force.
    Configured {
        who: String,
        what: String,
    },
    /// The first instance of an association came.
    Receiving(Transfer),
    /// An association that brought instances is over.
    Received(Transfer),
    /// Results were sent, or could not be.
    Sent(Transfer),
}

/// Who was at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// AE title, or the name of a destination that has none.
    pub title: String,
    /// IP address or host name.
    pub address: Option<String>,
}

/// Instances that changed hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub peer: Peer,
    pub studies: Vec<Study>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

impl Transfer {
    /// What one peer brought: studies with PatientID and PatientName, the SOP class of each instance that was taken,
    /// and how many were refused. Classes are counted where all instances belong to one study.
    #[must_use]
    pub fn of(
        peer: Peer,
        studies: Vec<(String, Option<(String, String)>)>,
        taken: impl Iterator<Item = String>,
        refused: u64,
    ) -> Transfer {
        let mut classes = BTreeMap::<String, u64>::new();
        taken.for_each(|class| *classes.entry(class).or_default() += 1);
        let classes: Vec<_> = if studies.len() == 1 { classes.into_iter().collect() } else { Vec::new() };
        let study = |(uid, patient): (String, Option<(String, String)>)| Study {
            uid,
            patient: patient.map(|(id, name)| Patient { id, name }),
            classes: classes.clone(),
        };
        let failure = (refused > 0).then(|| format!("{refused} instances were refused"));
        Transfer { peer, studies: studies.into_iter().map(study).collect(), failure }
    }
}

/// What of a study was transferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Study {
    pub uid: String,
    pub patient: Option<Patient>,
    /// SOP classes and numbers of instances, where they are known.
    pub classes: Vec<(String, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    pub id: String,
    pub name: String,
}
