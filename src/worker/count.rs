//! Asks senders how many instances of a series they hold, where `[peer.<AE title>]` says so: when a series has been
//! still for a moment, and once for each of its states. What is made of the answer is intake's.

use std::time::Duration;

use super::{Workers, blocking};
use crate::config::Expected;
use crate::delivery::DeliveryError;
use crate::delivery::find::Finder;
use crate::delivery::scu::Peer;
use crate::ledger::Uncounted;

/// A sender pauses less than this between two instances, as a rule.
const STILL: Duration = Duration::from_secs(1);
/// A sender that does not answer delays the counts of others by this much, and no series.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn run(workers: Workers) {
    while workers.wait(workers.bell.notified()).await {
        let senders = senders(&workers);
        if senders.is_empty() {
            continue;
        }
        let ledger = workers.ledger.clone();
        match blocking(move || ledger.uncounted_revisions(&senders, STILL)).await {
            Ok(uncounted) => ask_all(&workers, uncounted).await,
            Err(error) => tracing::error!("cannot look for series to be counted: {error}"),
        }
    }
}

fn senders(workers: &Workers) -> Vec<String> {
    let config = workers.config.load();
    let asked = config.node.peers.iter().filter(|(_, peer)| peer.expected == Some(Expected::Find));
    asked.map(|(title, _)| title.to_string()).collect()
}

async fn ask_all(workers: &Workers, uncounted: Vec<Uncounted>) {
    for revision in uncounted {
        tokio::select! {
            () = ask(workers, revision) => {}
            () = workers.stop.cancelled() => return,
        }
    }
}

async fn ask(workers: &Workers, revision: Uncounted) {
    let (series, peer) = (revision.series.series.clone(), revision.calling_ae.clone());
    let expected = match count(workers, &revision).await {
        Ok(expected) => {
            tracing::info!(%series, peer, expected, "counted by the sender");
            Some(expected)
        }
        Err(error) => {
            tracing::warn!(%series, peer, "the sender's count is unknown, the quiet times hold: {error}");
            None
        }
    };
    let ledger = workers.ledger.clone();
    if let Err(error) = blocking(move || ledger.count_revision(&revision, expected)).await {
        tracing::error!(%series, "a count is not recorded: {error}");
    }
}

async fn count(workers: &Workers, revision: &Uncounted) -> Result<u64, String> {
    let config = workers.config.load_full();
    let known = config.peer(&revision.calling_ae).ok_or("its address is not configured any more")?;
    let peer = Peer::named(&known, &revision.calling_ae, config.node.reception.ae_title.as_str())?;
    let ask = async {
        let mut finder = Finder::connect(&peer, TIMEOUT).await?;
        let counted = finder.count(&revision.series.study, &revision.series.series).await?;
        finder.end().await;
        Ok(counted)
    };
    ask.await.map_err(|error: DeliveryError| error.to_string())
}
