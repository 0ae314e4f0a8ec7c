//! Fetching what pipelines ask for and what did not come by itself: the rest of a series, earlier studies of the patient
//! (PS3.4 annex C, as SCU).
//!
//! What is wanted is a row of the ledger, made when the rules have a pipeline in mind; what is fetched takes the way of
//! everything that arrives. Tries until it is there or its time is over; never decides what a job runs on.

mod priors;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, Fetch, Retrieve};
use crate::delivery::fetch::{self, Keeper};
use crate::delivery::find::{Finder, FoundInstance, Wanted};
use crate::delivery::scu::Peer;
use crate::delivery::{DeliveryError, Object};
use crate::dicom::part10::{Meta, Part10Error};
use crate::dicom::{SeriesKey, Uid};
use crate::intake::{Arrival, Intake, IntakeError};
use crate::ledger::{Ledger, LedgerError, Retrieval, backoff};

/// How often the ledger is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Fetched at a time.
const PLACES: usize = 4;
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// For each answer of a PACS.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Why something could not be fetched this time.
#[derive(Debug, thiserror::Error)]
enum RetrievalError {
    #[error("{0} is not known; add [peer.{0}] to node.toml")]
    UnknownPeer(String),
    #[error("{0}")]
    Title(String),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error("a closed series of the study cannot be read: {0}")]
    Summary(#[from] serde_json::Error),
    #[error("{missing} of the {found} instances that {peer} finds did not come; look into the logs of both")]
    Incomplete { peer: String, missing: usize, found: usize },
    #[error("it was interrupted")]
    Interrupted,
}

/// Fetches. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Retriever {
    pub ledger: Ledger,
    pub intake: Intake,
    pub config: Arc<ArcSwap<Config>>,
    pub clock: Arc<dyn Clock>,
    pub stop: CancellationToken,
}

/// Where something is fetched from, and how.
struct Source {
    peer: Peer,
    retrieve: Retrieve,
    fetch: Fetch,
}

impl Retriever {
    /// Fetches what is due until the node stops.
    pub async fn run(self) {
        while !self.stop.is_cancelled() {
            let ledger = self.ledger.clone();
            match blocking(move || Ok(ledger.due_retrievals(PLACES)?)).await {
                Ok(due) => self.fetch_all(due).await,
                Err(error) => tracing::error!("cannot see what is to be fetched: {error}"),
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn fetch_all(&self, due: Vec<Retrieval>) {
        let mut tasks = JoinSet::new();
        for retrieval in due {
            let retriever = self.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = retriever.fetch_one(&retrieval) => {}
                    () = retriever.stop.cancelled() => {}
                }
            });
        }
        tasks.join_all().await;
    }

    async fn fetch_one(&self, retrieval: &Retrieval) {
        let fetch = self.wish(retrieval);
        let outcome = match &fetch {
            // the pipeline is gone, or no longer asks
            None => Ok(0),
            Some(fetch) => self.bring(retrieval, fetch.clone()).await,
        };
        let (ledger, id, study) = (self.ledger.clone(), retrieval.id, &retrieval.study);
        let (pipeline, series) = (&retrieval.pipeline, &retrieval.series);
        let late = |fetch: &Fetch| self.clock.now().0 >= retrieval.wanted_at.plus(fetch.give_up_after).0;
        let noted = match outcome {
            Ok(fetched) => {
                tracing::info!(%study, ?series, pipeline, fetched, "what the pipeline asked for is here");
                blocking(move || Ok(ledger.retrieval_over(id, fetched, None)?)).await
            }
            Err(error) if fetch.as_ref().is_some_and(late) => {
                tracing::error!(%study, ?series, pipeline, "not fetched, the pipeline does without: {error}");
                blocking(move || Ok(ledger.retrieval_over(id, 0, Some(&error.to_string()))?)).await
            }
            Err(error) => {
                let after = backoff::delay(retrieval.attempts + 1, FIRST_RETRY, LONGEST_RETRY, fastrand::f64());
                tracing::warn!(%study, ?series, pipeline, ?after, "not fetched, will be tried again: {error}");
                blocking(move || Ok(ledger.retrieval_failed(id, &error.to_string(), after)?)).await
            }
        };
        if let Err(error) = noted {
            tracing::error!(%study, pipeline, "cannot note what was fetched: {error}");
        }
    }

    /// What the pipeline asks for today.
    fn wish(&self, retrieval: &Retrieval) -> Option<Fetch> {
        let config = self.config.load();
        let fetch = config.pipelines.get(&retrieval.pipeline)?.retrieve.clone()?;
        let asks = if retrieval.series.is_some() { fetch.series } else { fetch.priors > 0 };
        asks.then_some(fetch)
    }

    /// The number of instances that came.
    async fn bring(&self, retrieval: &Retrieval, fetch: Fetch) -> Result<u64, RetrievalError> {
        let source = self.source(fetch)?;
        let mut finder = Finder::connect(&source.peer, TIMEOUT).await?;
        let Some(series) = &retrieval.series else {
            return self.bring_priors(&source, finder, &retrieval.study).await;
        };
        let key = SeriesKey { study: retrieval.study.clone(), series: series.clone() };
        let found = finder.instances(&wanted(&key)).await?;
        finder.end().await;
        self.complete(&source, &key, &found).await
    }

    fn source(&self, fetch: Fetch) -> Result<Source, RetrievalError> {
        let (config, title) = (self.config.load(), fetch.from.as_str());
        let known = config.peer(title).ok_or_else(|| RetrievalError::UnknownPeer(title.to_owned()))?;
        let peer = Peer::named(&known, title, config.node.reception.ae_title.as_str());
        Ok(Source { peer: peer.map_err(RetrievalError::Title)?, retrieve: known.retrieve, fetch })
    }

    /// Fetches the series `key`, unless every instance of `found` is here.
    async fn complete(&self, source: &Source, key: &SeriesKey, found: &[FoundInstance]) -> Result<u64, RetrievalError> {
        let before = self.missing(key, found).await?;
        if before == 0 {
            return Ok(0);
        }
        match source.retrieve {
            Retrieve::Move => {
                let title = self.config.load().node.reception.ae_title.clone();
                fetch::by_move(&source.peer, TIMEOUT, &wanted(key), &title, |_| ()).await?;
            }
            Retrieve::Get => {
                let mut taker = Taker { retriever: self, source };
                fetch::by_get(&source.peer, TIMEOUT, &wanted(key), &fetch::classes_of(found), &mut taker).await?;
                let (ledger, key) = (self.ledger.clone(), key.clone());
                blocking(move || Ok(ledger.mark_released(&[key])?)).await?;
            }
        }
        match self.missing(key, found).await? {
            0 => Ok(before as u64),
            missing => Err(RetrievalError::Incomplete { peer: source.peer.to_string(), missing, found: found.len() }),
        }
    }

    /// How many of `found` are not here.
    async fn missing(&self, key: &SeriesKey, found: &[FoundInstance]) -> Result<usize, RetrievalError> {
        let (intake, ledger, series) = (self.intake.clone(), self.ledger.clone(), key.series.to_string());
        let held = blocking(move || {
            intake.settle()?;
            Ok(ledger.series_objects(&series)?)
        });
        let held: HashSet<Uid> = held.await?.into_iter().map(|(instance, _)| instance).collect();
        Ok(found.iter().filter(|found| !held.contains(&found.sop_instance)).count())
    }

    /// Takes an object that came by C-GET as if its PACS had sent it.
    async fn keep(&self, source: &Source, object: Object) -> Result<(), RetrievalError> {
        let (intake, called) = (self.intake.clone(), self.config.load().node.reception.ae_title.to_string());
        let (calling, sender) = (source.peer.called.to_string(), source.peer.host.clone());
        blocking(move || {
            let unreadable = |error: Part10Error| IntakeError::Unreadable(error.to_string());
            let (_, offset) = Meta::syntax(&object.bytes).map_err(unreadable)?;
            let arrival = Arrival {
                calling: &calling,
                called: &called,
                sender: &sender,
                association: None,
                sop_class: &object.sop_class,
                sop_instance: &object.sop_instance,
                transfer_syntax: &object.transfer_syntax,
            };
            intake.take(&arrival, &object.bytes[offset..])?;
            Ok(())
        })
        .await
    }
}

/// What comes by C-GET, on its way to intake.
struct Taker<'a> {
    retriever: &'a Retriever,
    source: &'a Source,
}

impl Keeper for Taker<'_> {
    async fn keep(&mut self, object: Object) -> Result<(), String> {
        self.retriever.keep(self.source, object).await.map_err(|error| error.to_string())
    }
}

fn wanted(key: &SeriesKey) -> Wanted {
    Wanted { study: key.study.clone(), series: Some(key.series.clone()) }
}

/// Runs `work`, which waits for disk or ledger, on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RetrievalError> + Send + 'static,
) -> Result<T, RetrievalError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(RetrievalError::Interrupted))
}
