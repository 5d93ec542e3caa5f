//! Batches of SQS messages: one delivery a message, so that a bad body fails nobody else.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
//!
//! A message without a `messageId` fails the batch: its own failure could not be reported, and
//! what is not reported is deleted from the queue. SQS never sends such a message.

use serde_json::value::RawValue;

use super::malformed::{Malformed, Place};
use super::{Delivery, Invocation, Invoker, Record, descend, json};

/// What the records of SQS say they are from.
pub(super) const SOURCE: &str = "aws:sqs";

/// Whether records are a batch of messages, by the first of them: a poller sends nothing else.
pub(super) fn carries(records: &[&RawValue]) -> bool {
    let place = Place::PAYLOAD;
    records.first().is_some_and(|raw| {
        let record = json::object::<Record<'_>>(raw.get(), &place);
        record
            .and_then(|record| record.source(&place))
            .is_ok_and(|source| source == SOURCE)
    })
}

/// Reads a batch.
pub(super) fn invocation(
    records: &[&RawValue],
    place: &Place<'_>,
) -> Result<Invocation, Malformed> {
    let deliveries = records
        .iter()
        .zip(1..)
        .map(|(raw, number)| delivery(raw, &place.record(number)))
        .collect::<Result<_, _>>()?;
    Ok(Invocation {
        invoker: Invoker::Sqs,
        deliveries,
    })
}

fn delivery(raw: &RawValue, place: &Place<'_>) -> Result<Delivery, Malformed> {
    let record: Record<'_> = json::object(raw.get(), place)?;
    let source = record.source(place)?;
    if source != SOURCE {
        return Err(place
            .field("eventSource")
            .malformed_text("SQS as in record 1", &source));
    }
    let id = json::require_id(record.message_id, &place.field("messageId"))?;
    let place = Place::PAYLOAD;
    let place = place.message(&id);
    let mut delivery = Delivery::new(id.as_ref());
    let body = json::require_text(record.body, &place);
    if let Err(malformed) = body.and_then(|body| descend(&body, &place, &mut delivery)) {
        delivery.malformed.push(malformed);
    }
    Ok(delivery)
}
