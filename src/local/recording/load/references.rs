//! What one step says of another, or of a bucket: it must be there, be earlier, and fit.

use std::collections::HashMap;

use super::StepLine;
use super::fields::Place;
use super::problem::Problems;
use crate::local::faults::Scope;
use crate::local::recording::Recording;
use crate::local::recording::expect::{Expect, ExpectedObject};
use crate::local::recording::header::Header;
use crate::local::recording::step::{Action, Copy, Delete, Operation, OperationKind, Step};

pub(super) fn check(header: &Header, lines: &[StepLine], problems: &mut Problems) {
    let steps: Vec<Step> = lines.iter().filter_map(|line| line.step.clone()).collect();
    let recording = Recording {
        path: Default::default(),
        header: header.clone(),
        steps,
    };
    let notifying = recording.notifying();
    let mut check = Check {
        header,
        lines,
        notifying,
        problems,
        earlier: HashMap::new(),
    };
    let mut versioned: HashMap<&str, bool> = header
        .buckets()
        .map(|bucket| (bucket.name.as_str(), bucket.versioning))
        .collect();
    for line in lines {
        if let Some(step) = &line.step {
            check.step(step);
        }
        check.remember(line, &versioned);
        if let Some(Action::Operation(operation)) = line.step.as_ref().map(|step| &step.action)
            && let OperationKind::Versioning(_) = operation.kind
        {
            // Suspended or not, deletes leave markers from now on.
            versioned.insert(bucket_of(header, operation), true);
        }
    }
}

/// What a later step can refer to.
#[derive(Clone, Copy)]
enum Made<'a> {
    /// A step that is wrong itself, so nothing is said of references to it.
    Unknown,
    Operation {
        bucket: &'a str,
        operation: &'a Operation,
        makes_version: bool,
    },
    Invocation,
    Other,
}

struct Check<'a> {
    header: &'a Header,
    lines: &'a [StepLine],
    notifying: Vec<&'a str>,
    problems: &'a mut Problems,
    earlier: HashMap<&'a str, (usize, Made<'a>)>,
}

impl<'a> Check<'a> {
    fn remember(&mut self, line: &'a StepLine, versioned: &HashMap<&str, bool>) {
        let Some(id) = &line.id else { return };
        let made = match line.step.as_ref().map(|step| &step.action) {
            None => Made::Unknown,
            Some(Action::Operation(operation)) => {
                let bucket = bucket_of(self.header, operation);
                let makes_version = match &operation.kind {
                    OperationKind::Put(_) | OperationKind::Copy(_) => true,
                    OperationKind::Delete(delete) => {
                        delete.version.is_none() && versioned.get(bucket) == Some(&true)
                    }
                    _ => false,
                };
                Made::Operation {
                    bucket,
                    operation,
                    makes_version,
                }
            }
            Some(Action::Invoke(_)) => Made::Invocation,
            Some(_) => Made::Other,
        };
        if let Some((first, _)) = self.earlier.get(id.as_str()) {
            let found = format!("{id:?}, which line {first} has");
            self.problems.report(
                &Place::line(line.line).field("id"),
                "an id of its own",
                found,
            );
        } else {
            self.earlier.insert(id, (line.line, made));
        }
    }

    fn step(&mut self, step: &'a Step) {
        let place = Place::line(step.line);
        match &step.action {
            Action::Operation(operation) => self.operation(&place, operation),
            Action::Deliver(ids) => {
                let place = place.field("deliver");
                for (index, id) in ids.iter().enumerate() {
                    self.delivered(&place.item(index), id);
                }
            }
            Action::Fault(fault) => match &fault.scope {
                Scope::Anywhere => {}
                Scope::Bucket(name) => self.bucket(&place.field("fault").field("bucket"), name),
                Scope::Site(site) => {
                    if !self.header.buckets().any(|bucket| bucket.region == *site) {
                        let place = place.field("fault").field("site");
                        let expected = "the region of a bucket of the header";
                        self.problems.report(&place, expected, format!("{site:?}"));
                    }
                }
            },
            Action::Expect(expect) => self.expect(&place.field("expect"), expect),
            Action::Invoke(_) | Action::Settle(_) | Action::Pause(_) => {}
        }
    }

    fn operation(&mut self, place: &Place, operation: &'a Operation) {
        if let Some(name) = &operation.target {
            let mut there = self.header.targets.iter().filter(|target| target.create);
            if !there.any(|target| target.bucket.name == *name) {
                let expected = "a target of the header that is created";
                self.problems
                    .report(&place.field("target"), expected, format!("{name:?}"));
            }
        }
        let bucket = bucket_of(self.header, operation);
        if operation.held && !self.emits_event(bucket, operation) {
            let expected = "this only on an operation whose event reaches the function";
            let found = format!("it on {} of {bucket}", operation.kind.name());
            self.problems
                .report(&place.field("deliver"), expected, found);
        }
        match &operation.kind {
            OperationKind::Delete(Delete {
                key,
                version: Some(id),
            }) => {
                let place = place.field("delete").field("version");
                self.version(&place, id, bucket, key);
            }
            OperationKind::Copy(Copy {
                from,
                from_version: Some(id),
                ..
            }) => {
                let place = place.field("copy").field("from_version");
                self.version(&place, id, bucket, from);
            }
            _ => {}
        }
    }

    fn emits_event(&self, bucket: &str, operation: &Operation) -> bool {
        operation.kind.key().is_some() && self.notifying.contains(&bucket)
    }

    fn delivered(&mut self, place: &Place, id: &str) {
        let expected = "the id of an operation whose event reaches the function";
        match self.find(place, id) {
            None | Some(Made::Unknown) => {}
            Some(Made::Operation {
                bucket, operation, ..
            }) => {
                if !self.emits_event(bucket, operation) {
                    let found = format!("{id:?}, {} of {bucket}", operation.kind.name());
                    self.problems.report(place, expected, found);
                }
            }
            Some(Made::Invocation | Made::Other) => {
                self.problems
                    .report(place, expected, format!("{id:?}, no operation"));
            }
        }
    }

    /// `id` made a version of this key.
    fn version(&mut self, place: &Place, id: &str, bucket: &str, key: &str) {
        let found = match self.find(place, id) {
            None | Some(Made::Unknown) => return,
            Some(Made::Operation {
                bucket: other,
                operation,
                makes_version,
            }) => {
                let other_key = operation.kind.key().unwrap_or_default();
                match (makes_version, other == bucket && other_key == key) {
                    (true, true) => return,
                    (true, false) => format!("{id:?}, which is of {other}/{other_key}"),
                    (false, _) => {
                        format!("{id:?}, {} that makes no version", operation.kind.name())
                    }
                }
            }
            Some(Made::Invocation | Made::Other) => format!("{id:?}, no operation"),
        };
        let expected = format!("the id of a step that made a version of {bucket}/{key}");
        self.problems.report(place, &expected, found);
    }

    fn expect(&mut self, place: &Place, expect: &'a Expect) {
        match expect {
            Expect::Equal { target, .. } => {
                let Some(name) = target else { return };
                if !self
                    .header
                    .targets
                    .iter()
                    .any(|target| target.bucket.name == *name)
                {
                    let expected = "a target of the header";
                    self.problems
                        .report(&place.field("target"), expected, format!("{name:?}"));
                }
            }
            Expect::Absent { target, .. } | Expect::Object(ExpectedObject { target, .. }) => {
                if let Some(name) = target {
                    self.bucket(&place.field("target"), name);
                }
            }
            Expect::Outcome {
                target: Some(name), ..
            } => {
                self.bucket(&place.field("outcome").field("target"), name);
            }
            Expect::Requests {
                bucket: Some(name), ..
            } => {
                self.bucket(&place.field("requests").field("bucket"), name);
            }
            Expect::Response { of, .. } => {
                let place = place.field("response").field("of");
                let is_invocation = matches!(
                    self.find(&place, of),
                    None | Some(Made::Unknown | Made::Invocation)
                );
                if !is_invocation {
                    let expected = "the id of an invoke step";
                    self.problems.report(&place, expected, format!("{of:?}"));
                }
            }
            Expect::Outcome { .. }
            | Expect::Requests { .. }
            | Expect::OnFailure(_)
            | Expect::DeadLetters(_) => {}
        }
    }

    fn bucket(&mut self, place: &Place, name: &str) {
        if !self.header.buckets().any(|bucket| bucket.name == name) {
            self.problems
                .report(place, "a bucket of the header", format!("{name:?}"));
        }
    }

    /// The earlier step of this id; reports where there is none.
    fn find(&mut self, place: &Place, id: &str) -> Option<Made<'a>> {
        if !self.earlier.contains_key(id) {
            let later = self
                .lines
                .iter()
                .find(|line| line.id.as_deref() == Some(id));
            let found = match later {
                Some(later) => format!("{id:?} of line {}", later.line),
                None => format!("{id:?}, which no step has"),
            };
            self.problems
                .report(place, "the id of an earlier step", found);
        }
        self.earlier.get(id).map(|(_, made)| *made)
    }
}

fn bucket_of<'a>(header: &'a Header, operation: &'a Operation) -> &'a str {
    operation.target.as_deref().unwrap_or(&header.master.name)
}
