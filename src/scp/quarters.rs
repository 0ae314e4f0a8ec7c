//! A thread for each association that was accepted, with a runtime for it alone.
//!
//! What keeps an object waits for the disk, and a thread that may wait hands its work to nobody: on a machine where
//! waking another thread costs as much as a flush, that is half of the time an object takes. The limit of associations
//! is that of threads; a stranger gets none.

use std::future::Future;
use std::thread;

use tokio::runtime;
use tokio_util::task::TaskTracker;

/// Runs the future that `stay` makes to its end, among `tasks`.
pub(super) fn give<F: Future<Output = ()>>(tasks: &TaskTracker, stay: impl FnOnce() -> F + Send + 'static) {
    let token = tasks.token();
    let run = move || {
        match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(stay()),
            Err(error) => tracing::error!(%error, "an association got no runtime; raise the limit of open files"),
        }
        drop(token);
    };
    if let Err(error) = thread::Builder::new().name("association".to_owned()).spawn(run) {
        tracing::error!(%error, "an association got no thread; raise the limit of tasks");
    }
}
