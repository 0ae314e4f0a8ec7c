//! Reports of storage commitment on an association of our own: N-EVENT-REPORT by the SCP as requestor, its role
//! negotiated (PS3.4 section J.3.3, PS3.7 section D.3.3.4).

use std::time::Duration;

use super::DeliveryError;
use super::scu::{Peer, Proposal, Scu};
use crate::dicom::command::{Command, Normalized, Response};
use crate::dicom::commitment::Report;
use crate::dicom::tables::{EXPLICIT_LITTLE, IMPLICIT_LITTLE, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE};

/// Brings one report to `peer`; without an error the peer has taken it.
pub async fn report(peer: &Peer, timeout: Duration, report: &Report) -> Result<(), DeliveryError> {
    let proposal = Proposal {
        abstract_syntax: STORAGE_COMMITMENT.to_owned(),
        transfer_syntaxes: vec![EXPLICIT_LITTLE.to_owned(), IMPLICIT_LITTLE.to_owned()],
    };
    // Some peers answer no role selection and take reports all the same: what counts is the report's answer.
    let mut scu = Scu::connect_providing(peer, timeout, &[proposal], &[STORAGE_COMMITMENT]).await?;
    let context = scu.context(STORAGE_COMMITMENT, |_| true);
    let context = context.ok_or_else(|| scu.no_context("Storage Commitment Push Model".to_owned()))?;
    let dataset = report.encode(&context.transfer_syntax).map_err(|error| scu.protocol(error.to_string()))?;
    let request = Command::EventRq(Normalized {
        message_id: scu.next_id(),
        sop_class: STORAGE_COMMITMENT.to_owned(),
        sop_instance: STORAGE_COMMITMENT_INSTANCE.to_owned(),
        kind: report.event(),
        has_data: true,
    });
    scu.send(context.id, &request, Some(&dataset)).await?;
    match scu.receive().await?.command {
        Command::EventRsp(Response { status: 0, .. }) => {
            scu.release().await;
            Ok(())
        }
        Command::EventRsp(Response { status, comment, .. }) => {
            let (peer, instance) = (peer.to_string(), report.transaction.clone());
            Err(DeliveryError::Refused { peer, instance, status, comment: comment.unwrap_or_default() })
        }
        other => Err(scu.protocol(format!("the N-EVENT-REPORT was answered with {other:?}"))),
    }
}
