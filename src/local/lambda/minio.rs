//! An S3 record as a MinIO webhook sends it: `s3:` before names, no region, slashes encoded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::envelope::{InvalidNotification, key, text};

/// What is not encoded, besides letters and digits; a space becomes a plus.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b' ');

/// The webhook's body for a record.
pub(super) fn event(record: &Value) -> Result<String, InvalidNotification> {
    let name = event_name(text(record, "/eventName")?);
    let bucket = text(record, "/s3/bucket/name")?;
    let key = key(record)?;
    let mut record = record.clone();
    record["eventVersion"] = "2.0".into();
    record["eventSource"] = "minio:s3".into();
    record["awsRegion"] = "".into();
    record["eventName"] = name.as_str().into();
    record["s3"]["object"]["key"] = query_escaped(&key).into();
    let event = json!({"EventName": name, "Key": format!("{bucket}/{key}"), "Records": [record]});
    Ok(event.to_string())
}

/// MinIO counts a change of tags among the creations.
fn event_name(aws: &str) -> String {
    match aws {
        "ObjectTagging:Put" => "s3:ObjectCreated:PutTagging".to_owned(),
        "ObjectTagging:Delete" => "s3:ObjectCreated:DeleteTagging".to_owned(),
        other => format!("s3:{other}"),
    }
}

fn query_escaped(key: &str) -> String {
    utf8_percent_encode(key, QUERY)
        .to_string()
        .replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn record(name: &str) -> Value {
        json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventTime": "2026-01-02T03:04:05.678Z",
            "eventName": name,
            "s3": {"bucket": {"name": "master"}, "object": {"key": "a+b%2Bc/%C3%A9.txt", "size": 3}}
        })
    }

    #[test]
    fn record_is_sent_as_minio_does() {
        let event: Value =
            serde_json::from_str(&event(&record("ObjectCreated:Put")).unwrap()).unwrap();
        assert_eq!(
            event,
            json!({
                "EventName": "s3:ObjectCreated:Put",
                "Key": "master/a b+c/é.txt",
                "Records": [{
                    "eventVersion": "2.0",
                    "eventSource": "minio:s3",
                    "awsRegion": "",
                    "eventTime": "2026-01-02T03:04:05.678Z",
                    "eventName": "s3:ObjectCreated:Put",
                    "s3": {
                        "bucket": {"name": "master"},
                        "object": {"key": "a+b%2Bc%2F%C3%A9.txt", "size": 3}
                    }
                }]
            })
        );
    }

    #[rstest]
    #[case::delete("ObjectRemoved:Delete", "s3:ObjectRemoved:Delete")]
    #[case::tagged("ObjectTagging:Put", "s3:ObjectCreated:PutTagging")]
    #[case::untagged("ObjectTagging:Delete", "s3:ObjectCreated:DeleteTagging")]
    fn event_name_is_minios(#[case] aws: &str, #[case] minio: &str) {
        let event: Value = serde_json::from_str(&event(&record(aws)).unwrap()).unwrap();
        assert_eq!(event["EventName"], minio);
        assert_eq!(event["Records"][0]["eventName"], minio);
    }
}
