//! What is still to be done, counted: the local Lambda is idle when the count is zero.
//!
//! An event holds one [`Busy`] from the moment it is accepted until it has ended for good
//! (succeeded, or in a failure queue), so between its attempts nothing looks idle.

use tokio::sync::watch;

/// A count of unfinished work, shared by all who have some. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Activity(watch::Sender<usize>);

/// One piece of unfinished work; it is finished when this is dropped.
#[derive(Debug)]
pub struct Busy(watch::Sender<usize>);

impl Activity {
    /// Counts one piece of work until the answer is dropped.
    #[must_use]
    pub fn begin(&self) -> Busy {
        self.0.send_modify(|count| *count += 1);
        Busy(self.0.clone())
    }

    /// Whether nothing is left to be done.
    pub fn is_idle(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Waits until nothing is left to be done.
    pub async fn wait_idle(&self) {
        self.0
            .subscribe()
            .wait_for(|count| *count == 0)
            .await
            .expect("the sender is borrowed for as long as this waits");
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn is_idle_only_when_every_piece_of_work_has_ended() {
        let activity = Activity::default();
        assert!(activity.is_idle());
        let first = activity.begin();
        let second = activity.clone().begin();
        drop(first);
        assert!(!activity.is_idle());
        let waiting = tokio::spawn({
            let activity = activity.clone();
            async move { activity.wait_idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
    }
}
