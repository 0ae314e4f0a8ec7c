//! PS3.4 annex B, storage: every readable request gets the status that is true.

use crate::support::inbox::{FULL, PANICS, Receiver, options};
use crate::support::instance::MR;
use crate::support::parrot::{self, Parrot, RELEASE, RELEASE_ANSWER};
use sagittal::scp::ScpOptions;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const VERIFICATION: &str = "1.2.840.10008.1.1";

/// B.2.3: A7xx out of resources, A9xx data set does not match the SOP class, Cxxx cannot understand;
/// PS3.7 9.1.1.1.9: 0110 processing failure, 0117 invalid SOP instance, 0122 SOP class not supported.
#[tokio::test]
async fn each_fault_has_its_status_and_the_association_goes_on() {
    let receiver = Receiver::start(ScpOptions { max_object: 10_000, ..options() }).await;
    let mut parrot = Parrot::associated(receiver.address, &[(1, MR), (3, VERIFICATION)]).await;
    let large = vec![0; 10_001];
    let cases: [(u8, &str, &str, &[u8], u16); 8] = [
        (1, MR, "../../../etc/passwd", b"x", 0x0117),
        (1, MR, "", b"x", 0x0117),
        (1, CT, "1.2.3", b"x", 0xa900),
        (3, MR, "1.2.3", b"x", 0x0122),
        (1, MR, "1.2.3", &large, 0xa700),
        (1, MR, FULL, b"x", 0xa700),
        (1, MR, PANICS, b"x", 0x0110),
        (1, MR, "1.2.3.4", &large[..10_000], 0),
    ];
    for (number, (context, class, instance, data, expected)) in (1..).zip(cases) {
        let status = parrot.store(context, &parrot::store_request(number, class, instance), data).await;
        assert_eq!(status, expected, "{class} {instance:?}, {} bytes", data.len());
    }
    assert_eq!(parrot.ask(RELEASE).await.map(|(kind, _)| kind), Some(RELEASE_ANSWER));
    let inbox = std::sync::Arc::clone(&receiver.inbox);
    assert_eq!(inbox.released.lock().unwrap().len(), 1, "released before the release is answered");
    let stored = receiver.stop().await;
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].calling.as_str(), stored[0].dataset.len()), ("PARROT", 10_000));
}
