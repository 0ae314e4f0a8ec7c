//! Too many, or too silent, at the door.

use std::collections::BTreeMap;

use crate::support::inbox::{Receiver, options};
use crate::support::instance::MR;
use crate::support::parrot::{self, ACCEPT, Parrot, REJECT, RELEASE};
use crate::support::soon;
use sagittal::scp::ScpOptions;
use tokio::task::JoinSet;

/// Each in the crowd has its answer at once, accepted or "local limit exceeded"; then the node is as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_attempts_a_second_are_all_answered() {
    let receiver = Receiver::start(ScpOptions { max_associations: 4, ..options() }).await;
    let address = receiver.address;
    let start = tokio::time::Instant::now();
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        crowd.spawn(async move {
            let mut answers = BTreeMap::new();
            for _ in 0..20 {
                let mut parrot = Parrot::connect(address).await;
                let (kind, body) = parrot.ask(&parrot::associate("SAGITTAL", &[(1, MR)])).await.unwrap();
                assert!(kind == ACCEPT || body == [0, 2, 3, 2], "{kind}: {body:?}");
                if kind == ACCEPT {
                    parrot.ask(RELEASE).await.unwrap();
                }
                *answers.entry(kind).or_insert(0) += 1;
            }
            answers
        });
    }
    let mut answers = BTreeMap::new();
    for (kind, count) in soon(crowd.join_all()).await.into_iter().flatten() {
        *answers.entry(kind).or_insert(0) += count;
    }
    let rate = 1000.0 / start.elapsed().as_secs_f64();
    println!(
        "{rate:.0} attempts a second: {:?} accepted, {:?} told to come back",
        answers.get(&ACCEPT),
        answers.get(&REJECT)
    );
    assert_eq!(answers.values().sum::<i32>(), 1000);
    assert!(answers.get(&ACCEPT).is_some_and(|&count| count >= 4));
    let mut parrot = Parrot::associated(address, &[(1, MR)]).await;
    assert_eq!(parrot.store(1, &parrot::store_request(1, MR, "1.2.3"), b"data").await, 0);
    assert_eq!(receiver.stop().await.len(), 1);
}

/// Half-open connections, held by somebody who never asks, give way to those who do; the ARTIM timer is far away.
#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let receiver = Receiver::start(options()).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(Parrot::connect(receiver.address).await);
    }
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR)]).await;
    assert_eq!(parrot.store(1, &parrot::store_request(1, MR, "1.2.3"), b"data").await, 0);
    assert_eq!(silent[0].hear().await, None, "the oldest made room");
    assert_eq!(receiver.stop().await.len(), 1);
}
