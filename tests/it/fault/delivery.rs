//! Destinations with every fault a peer can have: what was acknowledged once is there once, the rest comes when it can, and
//! the ledger tells the whole story.

use std::time::Duration;

use sagittal::config::AeProfile;
use sagittal::dicom::ladder::Form;
use sagittal::dicom::{Answer, Uid};
use sagittal::ledger::{Circuit, Delivered, JobDetail, JobState, Ledger, OPENS_AFTER};
use sagittal::scp::ScpOptions;
use sagittal::spool::Spool;
use tokio::net::TcpListener;

use crate::support::balky::{Balky, Reaction, objects};
use crate::support::inbox::{Receiver, options};
use crate::support::instance::{IMPLICIT, of_class};
use crate::support::outbox::{Outbox, delivery_that};
use crate::support::soon;

const OK: Reaction = Reaction::Status(0);

fn pacs(port: u16, rest: &str) -> String {
    format!(
        "[destination.pacs]\nkind = \"dicom\"\nhost = \"127.0.0.1\"\nport = {port}\nae_title = \"PACS\"\n\
         backoff_cap = \"1 h\"\ntimeout = \"20 s\"\n{rest}\n"
    )
}

fn tried(times: u32) -> impl Fn(&JobDetail) -> bool {
    move |detail| detail.job.attempt >= times && detail.job.state == JobState::Retryable
}

fn completed(detail: &JobDetail) -> bool {
    detail.job.state == JobState::Completed
}

fn answers(detail: &JobDetail) -> Vec<Answer> {
    detail.answers.iter().map(|row| row.verdict.answer).collect()
}

fn outcomes(detail: &JobDetail) -> Vec<&str> {
    detail.attempts.iter().filter_map(|attempt| attempt.outcome.as_deref()).collect()
}

/// Waits until the circuits are so.
async fn circuit_that(ledger: &Ledger, is: impl Fn(&[Circuit]) -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(10));
    soon(async {
        while !is(&ledger.circuits().unwrap()) {
            look.tick().await;
        }
    })
    .await;
}

/// How often each object came.
fn times(peer: &Balky) -> Vec<usize> {
    let came = peer.arrivals();
    (1..=3).map(|n| came.iter().filter(|(_, uid)| *uid == format!("1.2.3.{n}")).count()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_some_and_refuses_others_gets_only_those_again() {
    let full_once = |uid: &str, time| if uid == "1.2.3.2" && time == 1 { Reaction::Status(0xa700) } else { OK };
    let peer = Balky::start(full_once).await;
    let outbox = Outbox::new(&["pacs"], &pacs(peer.address.port(), "confirm = \"query\""), &objects(3));
    let running = outbox.start().await;
    let detail = delivery_that(running.ledger(), "pacs", tried(1)).await;
    assert_eq!(answers(&detail), [Answer::Stored, Answer::Refused, Answer::Stored]);
    assert!(detail.job.last_error.as_deref().unwrap().contains("status a700 (as told)"), "{detail:?}");
    outbox.clock.advance(Duration::from_hours(1));
    let detail = delivery_that(running.ledger(), "pacs", completed).await;
    assert_eq!(detail.job.delivered, Some(Delivered::Confirmed));
    assert_eq!(outcomes(&detail), ["retry", "completed"]);
    assert_eq!(times(&peer), [1, 2, 1]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_aborts_in_the_middle_gets_the_rest_later() {
    let peer = Balky::start(|uid, time| if uid == "1.2.3.2" && time == 1 { Reaction::Abort } else { OK }).await;
    let outbox = Outbox::new(&["pacs"], &pacs(peer.address.port(), "confirm = \"query\""), &objects(3));
    let running = outbox.start().await;
    let detail = delivery_that(running.ledger(), "pacs", tried(1)).await;
    assert_eq!(answers(&detail), [Answer::Stored]);
    outbox.clock.advance(Duration::from_hours(1));
    let detail = delivery_that(running.ledger(), "pacs", completed).await;
    assert_eq!((detail.job.delivered, times(&peer)), (Some(Delivered::Confirmed), vec![1, 2, 1]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_stored_and_kept_and_a_permanent_refusal_is_given_up() {
    let reactions = |uid: &str, _| Reaction::Status(if uid == "1.2.3.3" { 0xc001 } else { 0xb006 });
    let peer = Balky::start(reactions).await;
    let outbox = Outbox::new(&["pacs"], &pacs(peer.address.port(), "confirm = \"none\""), &objects(3));
    let running = outbox.start().await;
    let detail = delivery_that(running.ledger(), "pacs", |d| d.job.state == JobState::Discarded).await;
    assert_eq!(answers(&detail), [Answer::Warned, Answer::Warned, Answer::Refused]);
    assert_eq!(detail.answers[0].verdict.status, Some(0xb006));
    assert_eq!(outcomes(&detail), ["gave-up"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_rejects_associations_has_everything_once_when_it_takes_one() {
    let peer = Balky::rejecting(2).await;
    let outbox = Outbox::new(&["pacs"], &pacs(peer.address.port(), "confirm = \"query\""), &objects(3));
    let running = outbox.start().await;
    for tries in 1..=2 {
        let detail = delivery_that(running.ledger(), "pacs", tried(tries)).await;
        assert!(detail.job.last_error.as_deref().unwrap().contains("rejected the association"), "{detail:?}");
        outbox.clock.advance(Duration::from_hours(1));
    }
    let detail = delivery_that(running.ledger(), "pacs", completed).await;
    assert_eq!((detail.job.delivered, times(&peer)), (Some(Delivered::Confirmed), vec![1, 1, 1]));
    assert_eq!(outcomes(&detail), ["retry", "retry", "completed"]);
    assert_eq!(detail.attempts[0].stage.as_deref(), Some("connect"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_was_down_for_an_hour_has_everything_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let outbox = Outbox::new(&["pacs"], &pacs(port, "confirm = \"query\""), &objects(3));
    let running = outbox.start().await;
    for tries in 1..=OPENS_AFTER {
        let detail = delivery_that(running.ledger(), "pacs", tried(tries)).await;
        assert!(detail.job.last_error.as_deref().unwrap().starts_with("cannot reach PACS@"), "{detail:?}");
        outbox.clock.advance(Duration::from_mins(5));
    }
    // From here on the delivery waits, and only probes go out.
    for probes in 1..=4 {
        circuit_that(running.ledger(), |circuits| circuits[0].probes >= probes).await;
        outbox.clock.advance(Duration::from_mins(15));
    }
    // none is under way when the peer comes back
    circuit_that(running.ledger(), |circuits| circuits[0].probes >= 5).await;
    assert!(outbox.clock_hours() >= 1.0);
    let peer = Balky::on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), |_, _| OK, false);
    outbox.clock.advance(Duration::from_hours(1));
    let detail = delivery_that(running.ledger(), "pacs", completed).await;
    assert_eq!((detail.job.delivered, times(&peer)), (Some(Delivered::Confirmed), vec![1, 1, 1]));
    assert_eq!(outcomes(&detail), ["retry", "retry", "retry", "completed"]);
    assert_eq!(detail.attempts[0].stage.as_deref(), Some("connect"));
    circuit_that(running.ledger(), <[_]>::is_empty).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_peer_costs_an_attempt_and_the_others_nothing() {
    let slow = Balky::start(|_, time| if time == 1 { Reaction::Silence } else { OK }).await;
    let quick = Balky::start(|_, _| OK).await;
    let text = pacs(slow.address.port(), "confirm = \"none\"").replace("20 s", "1 s")
        + &pacs(quick.address.port(), "confirm = \"none\"").replace("destination.pacs", "destination.quick");
    let outbox = Outbox::new(&["pacs", "quick"], &text, &objects(1));
    let running = outbox.start().await;
    delivery_that(running.ledger(), "quick", completed).await;
    let detail = delivery_that(running.ledger(), "pacs", tried(1)).await;
    assert!(detail.job.last_error.as_deref().unwrap().contains("did not answer the request in 1s"), "{detail:?}");
    outbox.clock.advance(Duration::from_hours(1));
    delivery_that(running.ledger(), "pacs", completed).await;
    running.stop().await;
}

/// An archive that acknowledges and then does not find the objects is asked once more, and then sent them again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_and_is_not_found_is_sent_again() {
    let peer = Balky::forgetful().await;
    let outbox = Outbox::new(&["pacs"], &pacs(peer.address.port(), "confirm = \"query\""), &objects(2));
    let running = outbox.start().await;
    delivery_that(running.ledger(), "pacs", tried(1)).await;
    outbox.clock.advance(Duration::from_hours(1));
    let detail = delivery_that(running.ledger(), "pacs", tried(2)).await;
    assert_eq!(answers(&detail), [Answer::Missing, Answer::Missing]);
    assert_eq!(peer.arrivals().len(), 2, "asked again, not sent again");
    outbox.clock.advance(Duration::from_hours(1));
    let detail = delivery_that(running.ledger(), "pacs", completed).await;
    assert_eq!((detail.job.delivered, peer.arrivals().len()), (Some(Delivered::Confirmed), 4));
    running.stop().await;
}

/// PS3.8 section 9.3.3.2: a class that the peer does not know is answered in its presentation context.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_take_the_best_form_gets_the_next_one_in_the_same_attempt() {
    let classes = Some([Uid::parse(Form::Binary.sop_class()).unwrap()].into());
    let profile = AeProfile { classes, ..options().profile };
    let receiver = Receiver::start(ScpOptions { profile, ..options() }).await;
    let text = pacs(receiver.address.port(), "confirm = \"none\"").replace("\"PACS\"", "\"SAGITTAL\"");
    let made = [(Form::Labelmap, "1.2.3.1"), (Form::Binary, "1.2.3.2")];
    let results = made.map(|(form, uid)| of_class(form.sop_class(), uid, IMPLICIT));
    let outbox = Outbox::new(&["pacs"], &text, &results);
    let running = outbox.start().await;
    let detail = delivery_that(running.ledger(), "pacs", completed).await;
    assert_eq!((outcomes(&detail), answers(&detail)), (vec!["completed"], vec![Answer::Stored]));
    let choice =
        serde_json::json!({ "asked": "labelmap", "chosen": "binary", "passed_over": [["labelmap", "refused"]] });
    assert_eq!(detail.choice, Some(choice));
    running.stop().await;
    let stored: Vec<_> = receiver.stop().await.into_iter().map(|request| request.sop_instance.to_string()).collect();
    assert_eq!(stored, ["1.2.3.2"]);
}

/// PS3.4 section B.2.3: a peer may take the presentation context and refuse the class with status 0122 all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_refuses_the_class_only_when_it_comes_gets_the_next_form_in_the_same_attempt() {
    let peer = Balky::start(|uid, _| if uid == "1.2.3.1" { Reaction::Status(0x0122) } else { OK }).await;
    let made = [(Form::Labelmap, "1.2.3.1"), (Form::Binary, "1.2.3.2")];
    let results = made.map(|(form, uid)| of_class(form.sop_class(), uid, IMPLICIT));
    let outbox = Outbox::new(&["pacs"], &pacs(peer.address.port(), "confirm = \"none\""), &results);
    let running = outbox.start().await;
    let detail = delivery_that(running.ledger(), "pacs", completed).await;
    assert_eq!((outcomes(&detail), answers(&detail)), (vec!["completed"], vec![Answer::Refused, Answer::Stored]));
    assert_eq!(detail.choice.unwrap()["chosen"], "binary");
    assert_eq!(times(&peer), [1, 1, 0]);
    running.stop().await;
}

/// Invariant 10: what was passed when it was made is not sent when the disk has changed it since.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_was_altered_on_the_disk_is_quarantined_and_not_sent() {
    let peer = Balky::rejecting(1).await;
    let outbox = Outbox::new(&["pacs"], &pacs(peer.address.port(), "confirm = \"none\""), &objects(3));
    let running = outbox.start().await;
    delivery_that(running.ledger(), "pacs", tried(1)).await;
    outbox.site.alter(b"1.2.3.2");
    outbox.clock.advance(Duration::from_hours(1));
    let detail = delivery_that(running.ledger(), "pacs", |d| d.job.state == JobState::Held).await;
    let error = detail.job.last_error.as_deref().unwrap();
    assert!(error.starts_with("the result 1.2.3.2 is no longer what the referee passed"), "{error}");
    assert_eq!((detail.job.stage.as_deref(), outcomes(&detail)), (Some("verify"), vec!["retry", "held"]));
    assert_eq!(peer.arrivals(), [], "nothing of the job was sent");
    let quarantined = Spool::attach(&outbox.site.spool()).quarantined().unwrap();
    assert_eq!(quarantined.len(), 1);
    assert!(quarantined[0].note.contains("are not those that were stored"), "{}", quarantined[0].note);
    running.stop().await;
}

/// The peer never answers, and its time limit is a minute; nobody waits for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_under_way_is_stopped_when_it_is_cancelled() {
    let peer = Balky::start(|_, _| Reaction::Silence).await;
    let text = pacs(peer.address.port(), "confirm = \"none\"").replace("20 s", "1 h");
    let outbox = Outbox::new(&["pacs"], &text, &objects(1));
    let running = outbox.start().await;
    let job = delivery_that(running.ledger(), "pacs", |d| d.job.state == JobState::Running).await.job.id;
    soon(peer.came(1)).await;
    running.ledger().cancel_job(job).unwrap();
    soon(peer.gone(1)).await;
    let detail = running.ledger().job(job).unwrap().unwrap();
    assert_eq!((detail.job.state, outcomes(&detail)), (JobState::Cancelled, vec!["cancelled"]));
    running.stop().await;
}
