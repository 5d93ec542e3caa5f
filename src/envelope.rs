//! Any payload as deliveries: changes, each under the id by which a failure is reported.
//!
//! What carries notifications nests: S3 in SNS in SQS, EventBridge in SQS, any of it in a failed
//! event that is put back. Each level is read the same way, and the outermost alone says who
//! invoked us. Names we don't know are acknowledged; of what we use, nothing is guessed. Nothing is
//! dropped: whatever a payload holds ends as a change, an ignored event or a [`Malformed`].
//!
//! A payload is parsed level by level into borrowed slices, never into a tree. What is kept of it
//! is a few hundred bytes a change, and about 2 KiB however long its fields are.

mod batch;
mod eventbridge;
mod json;
mod malformed;
mod s3;
mod sns;
mod sqs;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::malformed::Malformed;
use self::malformed::Place;
use crate::change::Change;

/// Levels of nesting that are unfolded. Four are of use; each failed attempt to put an event back
/// wraps it in two more.
const MAX_DEPTH: usize = 16;

/// One invocation's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Who waits for the response, and so in which form.
    pub invoker: Invoker,
    /// What is to be done, by the unit in which failures are reported.
    pub deliveries: Vec<Delivery>,
}

/// Who invoked us, as the outermost level of the payload tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invoker {
    /// S3, SNS, EventBridge or a webhook: one delivery, with an empty id.
    Asynchronous,
    /// A queue: one delivery a message.
    Sqs,
    /// A job: one delivery a task.
    BatchOperations {
        /// `1.0` or `2.0`, to be repeated in the response.
        schema_version: String,
        /// To be repeated in the response.
        invocation_id: String,
    },
}

/// What succeeds or fails as one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The `messageId` or `taskId`; empty where there is one delivery only.
    pub id: String,
    /// What to look at.
    pub changes: Vec<Change>,
    /// Names of events that need nothing done, `s3:TestEvent` among them.
    pub ignored: Vec<String>,
    /// What fails the delivery after its changes have been attended to.
    pub malformed: Vec<Malformed>,
}

/// What one event says.
enum Notice {
    Change(Change),
    Ignored(String),
}

impl Delivery {
    fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    fn take(&mut self, notice: Result<Notice, Malformed>) {
        match notice {
            Ok(Notice::Change(change)) => self.changes.push(change),
            Ok(Notice::Ignored(name)) => self.ignored.push(name),
            Err(malformed) => self.malformed.push(malformed),
        }
    }
}

/// Reads a payload as Lambda hands it over.
///
/// # Errors
///
/// There is nothing in the payload that could be told apart from the rest: no JSON, other JSON, or
/// a message or task without the id under which its failure is reported. The invocation has to
/// fail as a whole then, or that failure would be lost.
pub fn parse(payload: &str) -> Result<Invocation, Malformed> {
    let place = Place::PAYLOAD;
    match Envelope::read(payload, &place)? {
        Envelope::Job(job) => batch::invocation(&job, &place),
        Envelope::Records(records) if sqs::carries(&records) => sqs::invocation(&records, &place),
        envelope => {
            let mut delivery = Delivery::new("");
            unfold(envelope, &place, &mut delivery)?;
            Ok(Invocation {
                invoker: Invoker::Asynchronous,
                deliveries: vec![delivery],
            })
        }
    }
}

/// One level of a payload.
enum Envelope<'a> {
    /// Of S3, MinIO, SNS or SQS.
    Records(Vec<&'a RawValue>),
    /// Of S3 Batch Operations.
    Job(batch::Job<'a>),
    /// An event of EventBridge whose source is S3.
    EventBridge(eventbridge::Event<'a>),
    /// An SNS notification as a queue receives it.
    Notification(Cow<'a, str>),
    /// The payload of a failed invocation, out of the record that Lambda made of it.
    Failed(&'a RawValue),
    /// What S3 sends when notifications are configured.
    TestEvent,
}

/// The fields by which envelopes differ.
#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
    #[serde(borrow)]
    tasks: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestPayload")]
    request_payload: Option<&'a RawValue>,
    #[serde(borrow, rename = "Type")]
    message_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "Message")]
    message: Option<&'a RawValue>,
    #[serde(borrow, rename = "Event")]
    event: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    fn read(payload: &'a str, place: &Place<'_>) -> Result<Self, Malformed> {
        let outline: Outline<'_> = json::object(payload, place)?;
        let is = |field, name: &str| json::text(field).is_some_and(|text| text == name);
        if let Some(records) = outline.records {
            return Ok(Self::Records(json::array(
                records,
                &place.field("Records"),
            )?));
        }
        if outline.tasks.is_some() {
            return Ok(Self::Job(json::object(payload, place)?));
        }
        if let Some(request) = outline.request_payload {
            return Ok(Self::Failed(request));
        }
        if outline.source.is_some() {
            return eventbridge::read(payload, place);
        }
        if is(outline.message_type, "Notification") {
            let message = json::require_text(outline.message, &place.field("Message"))?;
            return Ok(Self::Notification(message));
        }
        if is(outline.event, s3::TEST_EVENT) {
            return Ok(Self::TestEvent);
        }
        Err(place.malformed(
            "an event of S3, SNS, SQS, EventBridge or S3 Batch Operations",
            "another object",
        ))
    }
}

/// Puts into `delivery` what an envelope holds.
///
/// An error is about the envelope as a whole; what is wrong with one of its records is put into
/// the delivery, and its siblings are read all the same.
fn unfold(
    envelope: Envelope<'_>,
    place: &Place<'_>,
    delivery: &mut Delivery,
) -> Result<(), Malformed> {
    match envelope {
        Envelope::Records(records) => {
            for (raw, number) in records.into_iter().zip(1..) {
                if let Err(malformed) = unfold_record(raw, &place.record(number), delivery) {
                    delivery.malformed.push(malformed);
                }
            }
        }
        Envelope::Job(job) => {
            for task in job.tasks(place)? {
                delivery.take(task.notice(&place.task(&task.id)));
            }
        }
        Envelope::EventBridge(event) => delivery.take(event.notice(place)),
        Envelope::Notification(message) => descend(&message, &place.field("Message"), delivery)?,
        Envelope::Failed(request) => {
            descend(request.get(), &place.field("requestPayload"), delivery)?;
        }
        Envelope::TestEvent => delivery.ignored.push(s3::TEST_EVENT.to_owned()),
    }
    Ok(())
}

fn unfold_record(
    raw: &RawValue,
    place: &Place<'_>,
    delivery: &mut Delivery,
) -> Result<(), Malformed> {
    let record: Record<'_> = json::object(raw.get(), place)?;
    match record.source(place)?.as_ref() {
        "aws:s3" | "minio:s3" => delivery.take(s3::notice(&record, place)),
        "aws:sns" => {
            let place = place.field("Sns.Message");
            descend(&sns::message(&record, &place)?, &place, delivery)?;
        }
        sqs::SOURCE => {
            let place = place.field("body");
            descend(&json::require_text(record.body, &place)?, &place, delivery)?;
        }
        source => {
            return Err(place
                .field("eventSource")
                .malformed_text("S3, SNS or SQS", source));
        }
    }
    Ok(())
}

/// Reads the next level.
fn descend(payload: &str, place: &Place<'_>, delivery: &mut Delivery) -> Result<(), Malformed> {
    if place.depth() > MAX_DEPTH {
        return Err(place.malformed("at most 16 levels of envelopes", "one more"));
    }
    unfold(Envelope::read(payload, place)?, place, delivery)
}

/// One of `Records`, whosoever.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, rename = "eventSource")]
    event_source: Option<&'a RawValue>,
    /// SNS alone spells it with a capital.
    #[serde(borrow, rename = "EventSource")]
    sns_event_source: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventName")]
    event_name: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventTime")]
    event_time: Option<&'a RawValue>,
    #[serde(borrow, rename = "awsRegion")]
    aws_region: Option<&'a RawValue>,
    #[serde(borrow)]
    s3: Option<&'a RawValue>,
    #[serde(borrow, rename = "Sns")]
    sns: Option<&'a RawValue>,
    #[serde(borrow, rename = "messageId")]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl<'a> Record<'a> {
    fn source(&self, place: &Place<'_>) -> Result<Cow<'a, str>, Malformed> {
        json::require_text(
            self.event_source.or(self.sns_event_source),
            &place.field("eventSource"),
        )
    }
}

#[cfg(test)]
mod tests;
