//! Writing: one step a line, spaced for the eye, defaults left out.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::expect::{Amount, Expect, ExpectedObject, ResponseCheck};
use super::header::{Batch, Bucket, Function, Header, TargetBucket};
use super::step::{Action, Copy, Delete, OperationKind, Put, Step, Tag, Untag};
use super::{FORMAT, Recording};
use crate::local::lambda::Source;

impl Recording {
    /// The text of the file.
    pub fn to_json_lines(&self) -> String {
        let mut lines = self.header.to_json_line();
        for step in &self.steps {
            lines.push('\n');
            lines.push_str(&step.to_json_line());
        }
        lines.push('\n');
        lines
    }
}

impl Header {
    /// The header as it stands in a file, without the line's end.
    pub fn to_json_line(&self) -> String {
        to_line(self)
    }
}

impl Step {
    /// The step as it stands in a file, without the line's end.
    pub fn to_json_line(&self) -> String {
        to_line(self)
    }
}

fn to_line(value: &impl Serialize) -> String {
    let mut line = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut line, Spaced);
    value
        .serialize(&mut serializer)
        .expect("a recording has nothing that JSON cannot hold");
    String::from_utf8(line).expect("JSON is UTF-8")
}

/// A space after each comma and colon.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}

/// Writes an entry unless it says what is so anyway.
fn unless<M: SerializeMap, T: Serialize + PartialEq>(
    map: &mut M,
    name: &str,
    value: &T,
    default: &T,
) -> Result<(), M::Error> {
    if value == default {
        Ok(())
    } else {
        map.serialize_entry(name, value)
    }
}

fn if_some<M: SerializeMap>(
    map: &mut M,
    name: &str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, &value))
}

fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 {
        duration.as_secs().into()
    } else {
        duration.as_secs_f64().into()
    }
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("recording", &FORMAT)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("seed", &self.seed)?;
        unless(
            &mut map,
            "source",
            &self.source.name(),
            &Source::default().name(),
        )?;
        map.serialize_entry("master", &self.master)?;
        unless(&mut map, "targets", &self.targets, &Vec::new())?;
        unless(&mut map, "function", &self.function, &Function::default())?;
        unless(&mut map, "batch", &self.batch, &Batch::default())?;
        unless(&mut map, "retries", &self.retries, &Self::RETRIES)?;
        map.end()
    }
}

impl Bucket {
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("bucket", &self.name)?;
        map.serialize_entry("region", &self.region)?;
        unless(map, "versioning", &self.versioning, &false)?;
        unless(map, "tags", &self.tags, &BTreeMap::new())
    }
}

impl Serialize for Bucket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write(&mut map)?;
        map.end()
    }
}

impl Serialize for TargetBucket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.bucket.write(&mut map)?;
        unless(&mut map, "separate", &self.separate, &false)?;
        unless(&mut map, "create", &self.create, &true)?;
        map.end()
    }
}

impl Serialize for Function {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let default = Self::default();
        let mut map = serializer.serialize_map(None)?;
        unless(
            &mut map,
            "timeout_s",
            &seconds(self.timeout),
            &seconds(default.timeout),
        )?;
        unless(
            &mut map,
            "concurrency",
            &self.concurrency,
            &default.concurrency,
        )?;
        unless(
            &mut map,
            "environment",
            &self.environment,
            &default.environment,
        )?;
        map.end()
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let default = Self::default();
        let milliseconds = |window: Duration| window.as_millis() as u64;
        let (window, default_window) = (milliseconds(self.window), milliseconds(default.window));
        let mut map = serializer.serialize_map(None)?;
        unless(&mut map, "size", &self.size, &default.size)?;
        unless(&mut map, "window_ms", &window, &default_window)?;
        unless(
            &mut map,
            "max_receives",
            &self.max_receives,
            &default.max_receives,
        )?;
        map.end()
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if_some(&mut map, "id", self.id.as_ref())?;
        match &self.action {
            Action::Operation(operation) => {
                map.serialize_entry(operation.kind.name(), &operation.kind)?;
                if_some(&mut map, "target", operation.target.as_ref())?;
                unless(
                    &mut map,
                    "deliver",
                    if operation.held { &"held" } else { &"" },
                    &"",
                )?;
            }
            Action::Deliver(ids) => map.serialize_entry("deliver", ids)?,
            Action::Fault(fault) => map.serialize_entry("fault", fault)?,
            Action::Invoke(payload) => {
                let payload = RawValue::from_string(payload.as_str().to_owned());
                map.serialize_entry("invoke", &payload.expect("a payload is JSON"))?;
            }
            Action::Settle(settle) => {
                map.serialize_entry("settle", &json!({"within_s": seconds(settle.within)}))?;
            }
            Action::Pause(time) => {
                map.serialize_entry("pause", &json!({"ms": time.as_millis() as u64}))?;
            }
            Action::Expect(expect) => map.serialize_entry("expect", expect)?,
        }
        map.end()
    }
}

impl Serialize for OperationKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Versioning(enabled) => return enabled.serialize(serializer),
            Self::BucketTags(tags) => return tags.serialize(serializer),
            _ => {}
        }
        let none = BTreeMap::new();
        let mut map = serializer.serialize_map(None)?;
        if_some(&mut map, "key", self.key())?;
        match self {
            Self::Put(Put {
                key: _,
                body,
                metadata,
                headers,
                tags,
                parts,
                checksum,
            }) => {
                map.serialize_entry("body", body)?;
                unless(&mut map, "metadata", metadata, &none)?;
                unless(&mut map, "headers", headers, &none)?;
                unless(&mut map, "tags", tags, &none)?;
                unless(&mut map, "parts", parts, &Vec::new())?;
                if_some(
                    &mut map,
                    "checksum",
                    checksum.map(|checksum| checksum.as_str()),
                )?;
            }
            Self::Copy(Copy {
                key: _,
                from,
                from_version,
                metadata,
                headers,
                tags,
            }) => {
                map.serialize_entry("from", from)?;
                if_some(&mut map, "from_version", from_version.as_ref())?;
                if_some(&mut map, "metadata", metadata.as_ref())?;
                if_some(&mut map, "headers", headers.as_ref())?;
                if_some(&mut map, "tags", tags.as_ref())?;
            }
            Self::Delete(Delete { key: _, version }) => {
                if_some(&mut map, "version", version.as_ref())?;
            }
            Self::Tag(Tag { key: _, tags }) => map.serialize_entry("tags", tags)?,
            Self::Untag(Untag { key: _ }) | Self::Versioning(_) | Self::BucketTags(_) => {}
        }
        map.end()
    }
}

impl Serialize for Expect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Equal { target, key } => {
                map.serialize_entry("equal", &true)?;
                if_some(&mut map, "target", target.as_ref())?;
                if_some(&mut map, "key", key.as_ref())?;
            }
            Self::Absent { target, key } => {
                if_some(&mut map, "target", target.as_ref())?;
                map.serialize_entry("key", key)?;
                map.serialize_entry("absent", &true)?;
            }
            Self::Object(object) => object.write(&mut map)?,
            Self::Outcome {
                target,
                key,
                is,
                retryable,
                count,
            } => {
                let fields = [
                    ("target", target.as_ref().map(|target| json!(target))),
                    ("key", key.as_ref().map(|key| json!(key))),
                    ("is", Some(json!(is.as_str()))),
                    ("retryable", retryable.map(Value::from)),
                    ("count", count.map(Value::from)),
                ];
                map.serialize_entry("outcome", &Present(&fields))?;
            }
            Self::Requests {
                on,
                bucket,
                key,
                amount,
            } => {
                let (name, number) = match amount {
                    Amount::Exactly(number) => ("count", *number),
                    Amount::AtMost(number) => ("at_most", *number),
                };
                let fields = [
                    ("on", on.map(|on| json!(on.as_str()))),
                    ("bucket", bucket.as_ref().map(|bucket| json!(bucket))),
                    ("key", key.as_ref().map(|key| json!(key))),
                    (name, Some(json!(number))),
                ];
                map.serialize_entry("requests", &Present(&fields))?;
            }
            Self::Response { of, is } => {
                let (name, value) = match is {
                    ResponseCheck::Includes(answer) => ("includes", answer.clone()),
                    ResponseCheck::Error(error) => ("error", json!(error)),
                };
                let fields = [("of", Some(json!(of))), (name, Some(value))];
                map.serialize_entry("response", &Present(&fields))?;
            }
            Self::OnFailure(number) => map.serialize_entry("on_failure", number)?,
            Self::DeadLetters(number) => map.serialize_entry("dead_letters", number)?,
        }
        map.end()
    }
}

/// An object of those fields that have a value.
struct Present<'a>(&'a [(&'static str, Option<Value>)]);

impl Serialize for Present<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let present = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        serializer.collect_map(present)
    }
}

impl ExpectedObject {
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if_some(map, "target", self.target.as_ref())?;
        map.serialize_entry("key", &self.key)?;
        if_some(map, "body", self.body.as_ref())?;
        if_some(map, "metadata", self.metadata.as_ref())?;
        if_some(map, "headers", self.headers.as_ref())?;
        if_some(map, "tags", self.tags.as_ref())?;
        if_some(map, "versions", self.versions)?;
        if_some(map, "delete_markers", self.delete_markers)
    }
}
