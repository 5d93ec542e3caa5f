//! Ctrl-C: once, and nothing new is begun; twice, and nothing is waited for.

use std::sync::Arc;

use crate::cli::told_to_end;
use crate::drift::walk::Stop;

/// Listens from now on.
pub(crate) fn listen() -> Arc<Stop> {
    let stop = Arc::new(Stop::default());
    let first = told_to_end();
    let told = Arc::clone(&stop);
    tokio::spawn(async move {
        first.await;
        let again = told_to_end();
        anstream::eprintln!("\nstopping: what has begun comes to its end; again to leave it");
        // Set by nobody else.
        let _ = told.soon.set(());
        again.await;
        let _ = told.now.set(());
    });
    stop
}
