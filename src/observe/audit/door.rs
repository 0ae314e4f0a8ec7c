//! What the receiving AE does, as the audit trail hears of it: stands before intake and passes everything on.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Event, Peer, Trail, Transfer};
use crate::dicom::StoreStatus;
use crate::intake::{Coming, Intake};
use crate::scp::{
    Announced, CommitmentReport, CommitmentRequest, KeptCommitment, Refusal, StoreAnswer, StoreHandler, StoreRequest,
    UnnamedObject, Visitor,
};

/// What an association brought so far.
#[derive(Debug)]
struct Seen {
    calling: String,
    address: IpAddr,
    /// SOP class of each instance that was taken.
    taken: Vec<String>,
    refused: u64,
}

/// Intake with a witness.
#[derive(Debug)]
pub struct Door {
    intake: Intake,
    trail: Trail,
    seen: Mutex<HashMap<u64, Seen>>,
}

impl Door {
    #[must_use]
    pub fn new(intake: Intake, trail: Trail) -> Door {
        Door { intake, trail, seen: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an instance; `true` for the first one of its association that was taken.
    fn note(&self, association: u64, calling: String, address: IpAddr, class: String, taken: bool) -> bool {
        let mut seen = self.lock();
        let new = || Seen { calling, address, taken: Vec::new(), refused: 0 };
        let entry = seen.entry(association).or_insert_with(new);
        if !taken {
            entry.refused += 1;
            return false;
        }
        entry.taken.push(class);
        entry.taken.len() == 1
    }

    /// The transfer of an association, as far as it came.
    fn transfer(&self, association: u64, over: bool) -> Option<Transfer> {
        let (peer, taken, refused) = {
            let mut seen = self.lock();
            let Seen { calling, address, taken, refused } = seen.get(&association)?;
            let peer = Peer { title: calling.clone(), address: Some(address.to_canonical().to_string()) };
            let found = (peer, taken.clone(), *refused);
            if over {
                seen.remove(&association);
            }
            found
        };
        let fed = self.intake.fed(association);
        Some(Transfer::of(peer, fed, taken.into_iter(), refused))
    }
}

impl StoreHandler for Door {
    type Draft = Coming;

    fn begin(&self, object: &Announced<'_>) -> Coming {
        self.intake.begin(object)
    }

    async fn store(&self, request: StoreRequest<Coming>) -> StoreAnswer {
        let (association, calling, peer) = (request.association, request.calling.clone(), request.peer);
        let class = request.sop_class.to_string();
        let answer = self.intake.store(request).await;
        let taken = answer.status == StoreStatus::Success;
        if self.note(association, calling, peer, class, taken)
            && let Some(transfer) = self.transfer(association, false)
        {
            self.trail.tell(Event::Receiving(transfer));
        }
        answer
    }

    async fn unnamed(&self, object: UnnamedObject<Coming>, answer: &StoreAnswer) {
        self.intake.unnamed(object, answer).await;
    }

    async fn released(&self, association: u64) {
        let transfer = self.transfer(association, true);
        self.intake.released(association).await;
        if let Some(transfer) = transfer {
            self.trail.tell(Event::Received(transfer));
        }
    }

    async fn commit(&self, request: CommitmentRequest) -> Result<KeptCommitment, Refusal> {
        self.intake.commit(request).await
    }

    async fn told(&self, report: CommitmentReport) -> Result<(), Refusal> {
        self.intake.told(report).await
    }

    async fn reported(&self, number: i64, status: u16) {
        self.intake.reported(number, status).await;
    }

    fn turned_away(&self, visitor: Visitor) {
        let Visitor { peer, calling, why } = visitor;
        let title = calling.filter(|calling| !calling.is_empty()).unwrap_or_else(|| "unknown".to_owned());
        let peer = Peer { title, address: Some(peer.to_canonical().to_string()) };
        self.trail.tell(Event::TurnedAway { peer, why });
    }
}
