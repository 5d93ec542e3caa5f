//! Notifications as S3 sends them.

/// One event with a record for each key. The keys need no encoding.
pub(crate) fn event(name: &str, bucket: &str, keys: &[String]) -> String {
    let records: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(number, key)| record(name, bucket, key, number))
        .collect();
    format!("{{\"Records\":[{}]}}", records.join(","))
}

fn record(name: &str, bucket: &str, key: &str, number: usize) -> String {
    format!(
        r#"{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2026-01-01T00:00:00.000Z","eventName":"{name}","userIdentity":{{"principalId":"AWS:AIDAEXAMPLE"}},"requestParameters":{{"sourceIPAddress":"127.0.0.1"}},"responseElements":{{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD"}},"s3":{{"s3SchemaVersion":"1.0","configurationId":"replicate","bucket":{{"name":"{bucket}","ownerIdentity":{{"principalId":"A3NL1KOZZKExample"}},"arn":"arn:aws:s3:::{bucket}"}},"object":{{"key":"{key}","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e","sequencer":"{number:018X}"}}}}}}"#
    )
}

/// So many keys under a prefix.
pub(crate) fn keys(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}/{n:05}.bin")).collect()
}
