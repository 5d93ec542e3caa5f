//! Reconcile against a store of a few lines, on which the test decides what happens between any
//! two requests.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use futures_util::FutureExt;
use rstest::rstest;

use super::*;
use crate::change::ObjectKey;
use crate::error::Place;

/// One master and its replicas in memory, with a log of requests.
#[derive(Default)]
struct Model {
    master: RefCell<Option<Object>>,
    bucket_is_gone: Cell<bool>,
    replicas: RefCell<Vec<Option<Object>>>,
    log: RefCell<Vec<String>>,
    /// What the master becomes after the n-th read of it.
    later: RefCell<VecDeque<Option<Object>>>,
    /// Failures of the next requests of these names.
    failing: RefCell<Vec<(&'static str, Kind)>>,
    /// How many reads succeed before all fail.
    reads_left: Cell<Option<u32>>,
    ambiguous: Cell<bool>,
    bytes: Cell<Option<Comparison>>,
}

fn object(etag: &str) -> Object {
    Object {
        etag: etag.to_owned(),
        etag_proves_content: true,
        size: 1,
        ..Object::default()
    }
}

fn tagged(etag: &str, value: &str) -> Object {
    let tags = [("k".to_owned(), value.to_owned())].into();
    Object {
        tags,
        ..object(etag)
    }
}

fn opaque(etag: &str) -> Object {
    Object {
        etag_proves_content: false,
        ..object(etag)
    }
}

fn model(master: Option<Object>, replicas: impl Into<Vec<Option<Object>>>) -> Model {
    Model {
        master: master.into(),
        replicas: replicas.into().into(),
        ..Model::default()
    }
}

impl Model {
    /// Runs to the end; nothing in the model ever waits.
    fn reconcile(&self) -> Report {
        self.reconcile_with(true)
    }

    fn reconcile_with(&self, deletes: bool) -> Report {
        let targets = self.replicas.borrow().len();
        reconcile(self, targets, deletes)
            .now_or_never()
            .expect("the model never waits")
    }

    fn request(&self, name: &'static str, target: Option<usize>) -> Result<(), Failure> {
        let target = target.map_or("master".to_owned(), |target| target.to_string());
        let request = format!("{name} {target}");
        self.log.borrow_mut().push(request.clone());
        if name == "head"
            && let Some(left) = self.reads_left.get()
        {
            let Some(left) = left.checked_sub(1) else {
                return Err(failure(Kind::Retryable));
            };
            self.reads_left.set(Some(left));
        }
        let mut failing = self.failing.borrow_mut();
        match failing.iter().position(|(failing, _)| *failing == request) {
            Some(index) => Err(failure(failing.remove(index).1)),
            None => Ok(()),
        }
    }

    fn written(&self, name: &'static str, target: usize, state: Option<Object>) -> Written {
        let result = self.request(name, Some(target));
        if result.is_ok() {
            self.replicas.borrow_mut()[target] = state;
        }
        Written {
            result,
            ambiguous: self.ambiguous.get(),
            resumed: false,
        }
    }

    fn requests(&self) -> Vec<String> {
        self.log.take()
    }
}

fn failure(kind: Kind) -> Failure {
    let key = Some(ObjectKey::new("k").expect("a key"));
    let place = Place {
        bucket: "b".to_owned(),
        key,
        site: "s".to_owned(),
    };
    Failure::new(kind, "request", place, "by the test's wish")
}

impl Store for Model {
    async fn master(&self) -> Result<Option<Object>, Failure> {
        self.request("head", None)?;
        let now = self.master.borrow().clone();
        if let Some(next) = self.later.borrow_mut().pop_front() {
            *self.master.borrow_mut() = next;
        }
        Ok(now)
    }

    async fn master_bucket(&self) -> Result<(), Failure> {
        self.request("bucket", None)?;
        if self.bucket_is_gone.get() {
            Err(failure(Kind::NoSuchBucket))
        } else {
            Ok(())
        }
    }

    async fn replica(&self, target: usize) -> Result<Option<Object>, Failure> {
        self.request("head", Some(target))?;
        Ok(self.replicas.borrow()[target].clone())
    }

    async fn compare(&self, _: &Object, target: usize, _: &Object) -> Result<Comparison, Failure> {
        self.request("read", Some(target))?;
        Ok(self.bytes.get().expect("the test says what the bytes are"))
    }

    async fn copy(&self, master: &Object, targets: &[usize]) -> Vec<Written> {
        let write = |&target| self.written("copy", target, Some(master.clone()));
        targets.iter().map(write).collect()
    }

    async fn put_tags(&self, master: &Object, target: usize) -> Written {
        let replica = self.replicas.borrow()[target].clone();
        let tagged = replica.map(|replica| Object {
            tags: master.tags.clone(),
            ..replica
        });
        self.written("tag", target, tagged)
    }

    async fn delete(&self, target: usize) -> Written {
        self.written("delete", target, None)
    }

    fn failure(&self, _: usize, unsettled: Unsettled) -> Failure {
        let place = failure(Kind::Retryable).place;
        Failure::new(Kind::Retryable, "reconcile", place, unsettled)
    }
}

fn outcomes(report: &Report) -> Vec<&'static str> {
    let name = |outcome: &Result<Outcome, Failure>| match outcome {
        Ok(outcome) => outcome.as_str(),
        Err(failure) if failure.kind.is_retryable() => "retryable",
        Err(_) => "permanent",
    };
    report.outcomes.iter().map(name).collect()
}

#[rstest]
#[case::create(Some(object("a")), None, "copied")]
#[case::overwrite(Some(object("b")), Some(object("a")), "copied")]
#[case::duplicate(Some(object("a")), Some(object("a")), "equal")]
#[case::retag(Some(tagged("a", "2")), Some(tagged("a", "1")), "tagged")]
#[case::delete(None, Some(object("a")), "deleted")]
#[case::duplicate_delete(None, None, "equal")]
fn replica_becomes_equal(
    #[case] master: Option<Object>,
    #[case] replica: Option<Object>,
    #[case] outcome: &str,
) {
    let model = model(master.clone(), [replica]);
    assert_eq!(outcomes(&model.reconcile()), [outcome]);
    assert_eq!(*model.replicas.borrow(), [master]);
}

#[rstest]
#[case::create(Some(object("a")), None, 2 + 2 * 3)]
#[case::equal(Some(object("a")), Some(object("a")), 1 + 3)]
#[case::delete(None, Some(object("a")), 2 + 2 * 3 + 1)]
fn requests_are_bounded(
    #[case] master: Option<Object>,
    #[case] replica: Option<Object>,
    #[case] expected: usize,
) {
    let model = model(master, [replica.clone(), replica.clone(), replica]);
    model.reconcile();
    assert_eq!(model.requests().len(), expected);
}

#[test]
fn confirm_comes_after_every_write() {
    let model = model(Some(object("b")), [None, Some(object("a"))]);
    model.reconcile();
    let requests = model.requests();
    assert_eq!(requests.last().map(String::as_str), Some("head master"));
    assert!(
        requests[..requests.len() - 1]
            .iter()
            .any(|request| request == "copy 1")
    );
}

#[test]
fn master_that_changes_meanwhile_is_written_again() {
    let model = model(Some(object("a")), [None]);
    model.later.replace([Some(object("b"))].into());
    let report = model.reconcile();
    assert_eq!((outcomes(&report), report.rounds), (vec!["copied"], 2));
    assert_eq!(*model.replicas.borrow(), [Some(object("b"))]);
}

#[test]
fn retag_with_the_same_count_is_noticed_by_confirm() {
    let model = model(Some(tagged("a", "1")), [None]);
    model.later.replace([Some(tagged("a", "2"))].into());
    model.reconcile();
    assert_eq!(*model.replicas.borrow(), [Some(tagged("a", "2"))]);
}

#[test]
fn delete_meanwhile_undoes_the_copy() {
    let model = model(Some(object("a")), [None]);
    model.later.replace([None].into());
    assert_eq!(outcomes(&model.reconcile()), ["deleted"]);
    assert_eq!(*model.replicas.borrow(), [None]);
}

#[test]
fn master_that_never_rests_is_retried_later() {
    let model = model(Some(object("0")), [None, Some(object("0"))]);
    model
        .later
        .replace((1..100).map(|n| Some(object(&n.to_string()))).collect());
    let report = model.reconcile();
    assert_eq!(
        (outcomes(&report), report.rounds),
        (vec!["retryable"; 2], ROUNDS)
    );
}

#[test]
fn raced_write_is_another_round() {
    let model = model(Some(object("a")), [None]);
    model.failing.replace(vec![("copy 0", Kind::Raced)]);
    let report = model.reconcile();
    assert_eq!((outcomes(&report), report.rounds), (vec!["copied"], 2));
}

#[test]
fn ambiguous_write_ends_as_failed_although_all_is_well_now() {
    let model = model(Some(object("a")), [None]);
    model.ambiguous.set(true);
    assert_eq!(outcomes(&model.reconcile()), ["retryable"]);
    assert_eq!(*model.replicas.borrow(), [Some(object("a"))]);
}

#[test]
fn ambiguity_makes_a_permanent_failure_come_again() {
    let model = model(Some(object("a")), [None]);
    model.ambiguous.set(true);
    model.failing.replace(vec![("copy 0", Kind::Permanent)]);
    assert_eq!(outcomes(&model.reconcile()), ["retryable"]);
}

#[rstest]
#[case("copy 0", Some(object("b")))]
#[case("delete 0", None)]
fn one_failing_target_stops_no_other(
    #[case] failing: &'static str,
    #[case] master: Option<Object>,
) {
    let old = Some(object("a"));
    let model = model(master.clone(), [old.clone(), old.clone(), old.clone()]);
    model.failing.replace(vec![(failing, Kind::Permanent)]);
    let ended = outcomes(&model.reconcile());
    assert_eq!(ended[0], "permanent");
    assert_eq!(model.replicas.borrow()[1..], [master.clone(), master]);
}

#[test]
fn unreadable_replica_fails_alone() {
    let model = model(Some(object("a")), [None, None]);
    model.failing.replace(vec![("head 0", Kind::Permanent)]);
    assert_eq!(outcomes(&model.reconcile()), ["permanent", "copied"]);
}

#[test]
fn confirm_that_fails_fails_what_was_written() {
    let model = model(Some(object("a")), [None, Some(object("a"))]);
    // Two replicas and the master are read before the confirming read fails.
    model.reads_left.set(Some(3));
    assert_eq!(outcomes(&model.reconcile()), ["retryable", "equal"]);
}

#[test]
fn vanished_master_bucket_never_empties_a_target() {
    let model = model(None, [Some(object("a")), None]);
    model.bucket_is_gone.set(true);
    assert_eq!(outcomes(&model.reconcile()), ["permanent", "equal"]);
    assert_eq!(model.replicas.borrow()[0], Some(object("a")));
}

#[test]
fn deletes_that_are_off_keep_the_replica() {
    let model = model(None, [Some(object("a")), None]);
    assert_eq!(outcomes(&model.reconcile_with(false)), ["kept", "equal"]);
    assert_eq!(model.requests().len(), 3);
}

#[rstest]
#[case::same(Comparison::Same, "equal")]
#[case::different(Comparison::Different, "copied")]
#[case::late_and_newer(Comparison::OutOfTime { newer: true }, "unproven")]
#[case::late_and_not_newer(Comparison::OutOfTime { newer: false }, "retryable")]
fn bytes_decide_where_nothing_else_proves(#[case] bytes: Comparison, #[case] outcome: &str) {
    let model = model(Some(opaque("x")), [Some(opaque("y"))]);
    model.bytes.set(Some(bytes));
    assert_eq!(outcomes(&model.reconcile()), [outcome]);
}
