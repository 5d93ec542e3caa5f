//! The record that Lambda sends to an on-failure destination.
//!
//! See <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::invocation::{Event, FunctionError};
use super::timestamp::iso_millis;

/// The record of an event whose attempts have all failed.
///
/// The payload is taken over as it was sent, digits and order included; one that is no JSON, which
/// AWS would have refused to begin with, becomes a string.
pub fn record(
    event: &Event,
    function_arn: &str,
    attempts: usize,
    error: &FunctionError,
    at: SystemTime,
) -> String {
    let payload = serde_json::from_str::<Box<RawValue>>(&event.payload)
        .or_else(|_| to_raw_value(&event.payload))
        .expect("a string serializes");
    let record = Record {
        version: "1.0",
        timestamp: iso_millis(at),
        request_context: RequestContext {
            request_id: &event.request_id,
            function_arn: format!("{function_arn}:$LATEST"),
            condition: "RetriesExhausted",
            approximate_invoke_count: attempts,
        },
        request_payload: &payload,
        response_context: ResponseContext {
            status_code: 200,
            executed_version: "$LATEST",
            function_error: "Unhandled",
        },
        response_payload: error,
    };
    serde_json::to_string(&record).expect("strings and numbers serialize")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    version: &'static str,
    timestamp: String,
    request_context: RequestContext<'a>,
    request_payload: &'a RawValue,
    response_context: ResponseContext,
    response_payload: &'a FunctionError,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: &'a str,
    function_arn: String,
    condition: &'static str,
    approximate_invoke_count: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    status_code: u16,
    executed_version: &'static str,
    function_error: &'static str,
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn record_of(payload: &str) -> String {
        let event = Event {
            request_id: "e4b46cbf".to_owned(),
            payload: payload.to_owned(),
        };
        let error = FunctionError::new("Runtime.ExitError", "gone");
        let at = UNIX_EPOCH + Duration::from_millis(1_573_755_365_568);
        record(
            &event,
            "arn:aws:lambda:us-east-2:123456789012:function:f",
            3,
            &error,
            at,
        )
    }

    #[test]
    fn record_is_as_lambda_writes_it() {
        assert_eq!(
            serde_json::from_str::<Value>(&record_of(r#"{"Records": []}"#)).unwrap(),
            json!({
                "version": "1.0",
                "timestamp": "2019-11-14T18:16:05.568Z",
                "requestContext": {
                    "requestId": "e4b46cbf",
                    "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:f:$LATEST",
                    "condition": "RetriesExhausted",
                    "approximateInvokeCount": 3
                },
                "requestPayload": {"Records": []},
                "responseContext": {
                    "statusCode": 200,
                    "executedVersion": "$LATEST",
                    "functionError": "Unhandled"
                },
                "responsePayload": {"errorType": "Runtime.ExitError", "errorMessage": "gone"}
            })
        );
    }

    #[rstest]
    #[case::large_number(r#"{"n":12345678901234567890.10}"#, r#"{"n":12345678901234567890.10}"#)]
    #[case::order(r#"{"b":1,"a":2}"#, r#"{"b":1,"a":2}"#)]
    #[case::no_json("not json", r#""not json""#)]
    #[case::nothing("", r#""""#)]
    fn payload_is_taken_over_as_it_was_sent(#[case] payload: &str, #[case] expected: &str) {
        let expected = format!(r#""requestPayload":{expected},"#);
        assert!(
            record_of(payload).contains(&expected),
            "{}",
            record_of(payload)
        );
    }
}
