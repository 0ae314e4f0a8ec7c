//! Notices on their way: recipients side by side, the notices of one recipient one after the other, again and again until
//! it has them or the tries are used up.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Herald, HeraldError, LOOK, email, webhook};
use crate::clock::Millis;
use crate::config::{Channel, Recipient};
use crate::ledger::{NoticeRow, backoff};

const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_hours(1);
/// After a failure a recipient is left alone for so long, however much waits for it.
const REST: Duration = Duration::from_secs(2);
/// Notices in one e-mail.
const BUNDLE: u32 = 100;

/// Recipients that are being told.
type Busy = Arc<Mutex<HashSet<String>>>;

/// Tells recipients until `stop`.
pub(super) async fn run(herald: Herald, stop: CancellationToken) {
    let (busy, tasks) = (Busy::default(), TaskTracker::new());
    while !stop.is_cancelled() {
        let ledger = herald.ledger.clone();
        match super::blocking(move || ledger.recipients_due()).await {
            Ok(due) => due.into_iter().for_each(|name| spawn(&herald, &busy, &tasks, &stop, name)),
            Err(error) => tracing::error!("cannot look for notices that are due: {error}"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// A recipient's place among those being told; given back when dropped, so that a panic keeps nobody from being told.
struct Place(Busy, String);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

fn spawn(herald: &Herald, busy: &Busy, tasks: &TaskTracker, stop: &CancellationToken, name: String) {
    if !busy.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
        return;
    }
    let (herald, stop, place) = (herald.clone(), stop.clone(), Place(busy.clone(), name.clone()));
    tasks.spawn(async move {
        tokio::select! {
            () = tell(&herald, &name) => {}
            () = stop.cancelled() => {}
        }
        drop(place);
    });
}

/// Tells `name` what is due, and leaves it alone for a while where it asks for that or fails.
async fn tell(herald: &Herald, name: &str) {
    loop {
        let config = herald.config.load_full();
        let recipient = config.node.recipients.get(name);
        let limit = match recipient.map(|recipient| &recipient.channel) {
            Some(Channel::Webhook { .. }) => 1,
            _ => BUNDLE,
        };
        let (ledger, asked) = (herald.ledger.clone(), name.to_owned());
        let due = match super::blocking(move || ledger.notices_due(&asked, limit)).await {
            Ok(due) if due.is_empty() => return,
            Ok(due) => due,
            Err(error) => return tracing::error!(recipient = name, "cannot read notices: {error}"),
        };
        let told = match recipient {
            Some(recipient) => {
                bring(recipient, config.node.reception.ae_title.as_str(), &due, herald.clock.now()).await
            }
            None => Err(HeraldError::Unknown { recipient: name.to_owned() }),
        };
        let rest = match (&told, recipient) {
            (Err(_), _) => REST,
            (Ok(()), Some(Recipient { channel: Channel::Email(mail), .. })) => mail.every,
            _ => Duration::ZERO,
        };
        if let Err(error) = record(herald, name, recipient, &due, told).await {
            return tracing::error!(
                recipient = name,
                "what became of a notice is not recorded; it comes again: {error}"
            );
        }
        tokio::time::sleep(rest).await;
    }
}

/// Tells `recipient` these notices of the node with this AE title, now.
pub(super) async fn bring(
    recipient: &Recipient,
    title: &str,
    notices: &[NoticeRow],
    now: Millis,
) -> Result<(), HeraldError> {
    match &recipient.channel {
        Channel::Webhook { at, key } => {
            for notice in notices {
                webhook::post(at, key, recipient.timeout, notice, now).await?;
            }
            Ok(())
        }
        Channel::Email(mail) => {
            let (mail, title) = (mail.clone(), title.to_owned());
            let (timeout, notices) = (recipient.timeout, notices.to_vec());
            let sent = tokio::task::spawn_blocking(move || email::send(&mail, &title, timeout, &notices)).await;
            sent.map_err(|fault| HeraldError::Fault(fault.to_string()))?
        }
    }
}

async fn record(
    herald: &Herald,
    name: &str,
    recipient: Option<&Recipient>,
    notices: &[NoticeRow],
    told: Result<(), HeraldError>,
) -> Result<(), String> {
    let ledger = herald.ledger.clone();
    let Err(error) = told else {
        tracing::info!(recipient = name, notices = notices.len(), "told");
        let ids: Vec<i64> = notices.iter().map(|notice| notice.id).collect();
        return super::blocking(move || ledger.notices_told(&ids)).await;
    };
    let most = recipient.map_or(0, |recipient| recipient.max_attempts);
    for notice in notices {
        let attempts = notice.attempts + 1;
        let after = (attempts < most).then(|| backoff::delay(attempts, FIRST_RETRY, LONGEST_RETRY, fastrand::f64()));
        if let Some(after) = after {
            tracing::warn!(recipient = name, notice = notice.id, ?after, "not told, tried again: {error}");
        } else {
            tracing::error!(recipient = name, "not told, given up, `sagittal notices retry {}`: {error}", notice.id);
        }
        let (ledger, id, error) = (ledger.clone(), notice.id, error.to_string());
        super::blocking(move || ledger.notices_failed(&[id], &error, after)).await?;
    }
    Ok(())
}
