//! What `setup` and `doctor` ask of AWS beside S3, as far as they ask it: queues with attributes,
//! functions with policies, roles, and whose credentials these are.
//!
//! It keeps what it is told and judges nothing; LocalStack and AWS do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

pub(super) const ACCOUNT: &str = "000000000000";
pub(super) const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:events";
pub(super) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:replicator";
pub(super) const ROLE: &str = "arn:aws:iam::000000000000:role/replicator";

/// Everything that is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Things {
    /// Whose credentials everybody has.
    pub(super) account: String,
    /// Attributes by the queue's name.
    pub(super) queues: BTreeMap<String, Map<String, Value>>,
    /// By the function's name.
    pub(super) functions: BTreeMap<String, Function>,
    pub(super) mappings: Vec<Value>,
    /// Actions that are refused.
    pub(super) denied: Vec<String>,
    /// What the next writes of a queue wait at for each other.
    pub(super) writers: Option<Arc<Barrier>>,
    /// Context keys without which the role's policies allow nothing.
    pub(super) conditions: Vec<String>,
    /// Actions that the role lacks.
    pub(super) lacking: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Function {
    pub(super) configuration: Value,
    pub(super) statements: Vec<Value>,
    pub(super) on_failure: Option<String>,
}

/// The services, on one port.
#[derive(Clone)]
pub(super) struct Aws {
    pub(super) endpoint: String,
    things: Arc<Mutex<Things>>,
}

impl Aws {
    /// A queue that a function reads, each as it should be.
    pub(super) async fn start() -> Self {
        let attributes = json!({
            "VisibilityTimeout": "360",
            "RedrivePolicy": "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\"}",
        });
        let function = Function {
            configuration: json!({
                "FunctionArn": FUNCTION,
                "State": "Active",
                "Timeout": 60,
                "Role": ROLE,
                "Environment": {"Variables": {"S3_REPLICATOR_MASTERS": "master"}},
            }),
            on_failure: Some("arn:aws:sqs:us-east-1:000000000000:failed".to_owned()),
            ..Function::default()
        };
        let mapping = json!({
            "UUID": "u",
            "EventSourceArn": QUEUE,
            "FunctionArn": FUNCTION,
            "State": "Enabled",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        });
        let things = Things {
            account: ACCOUNT.to_owned(),
            queues: [("events".to_owned(), attributes.as_object().unwrap().clone())].into(),
            functions: [("replicator".to_owned(), function)].into(),
            mappings: vec![mapping],
            ..Things::default()
        };
        let things = Arc::new(Mutex::new(things));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&things));
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { endpoint, things }
    }

    /// Looks at what is there, or changes it.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Things) -> T) -> T {
        look(&mut self.things.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn answer(
    State(things): State<Arc<Mutex<Things>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let is_write = headers
        .get("x-amz-target")
        .is_some_and(|it| it == "AmazonSQS.SetQueueAttributes");
    let writers = things.lock().unwrap().writers.clone();
    if let Some(writers) = writers.filter(|_| is_write) {
        writers.wait().await;
        things.lock().unwrap().writers = None;
    }
    let mut things = things.lock().unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    if let Some(target) = headers.get("x-amz-target") {
        let action = target.to_str().unwrap().trim_start_matches("AmazonSQS.");
        return sqs(&mut things, action, &serde_json::from_str(&text).unwrap());
    }
    if uri.path() == "/" {
        return query(&things, &text);
    }
    let body = serde_json::from_str(&text).unwrap_or_default();
    lambda(&mut things, &method, &uri, &body)
}

/// An error as services with JSON bodies have it.
fn error(status: StatusCode, code: &str) -> Response {
    let body = json!({ "__type": code, "Code": code, "message": format!("this is {code}") });
    let headers = [("x-amzn-errortype", code.to_owned())];
    (status, headers, body.to_string()).into_response()
}

fn denied(things: &Things, action: &str) -> Option<Response> {
    let is_denied = things.denied.iter().any(|it| it == action);
    is_denied.then(|| error(StatusCode::FORBIDDEN, "AccessDeniedException"))
}

fn sqs(things: &mut Things, action: &str, body: &Value) -> Response {
    if let Some(denied) = denied(things, &format!("sqs:{action}")) {
        return denied;
    }
    let url = body["QueueUrl"].as_str().unwrap_or_default();
    let name = match action {
        "GetQueueUrl" => body["QueueName"].as_str().unwrap_or_default(),
        _ => url.rsplit('/').next().unwrap_or_default(),
    };
    let Some(attributes) = things.queues.get_mut(name) else {
        return error(
            StatusCode::BAD_REQUEST,
            "com.amazonaws.sqs#QueueDoesNotExist",
        );
    };
    let answer = match action {
        "GetQueueUrl" => json!({ "QueueUrl": format!("http://sqs/{ACCOUNT}/{name}") }),
        "GetQueueAttributes" => json!({ "Attributes": attributes }),
        "SetQueueAttributes" => {
            for (name, value) in body["Attributes"].as_object().unwrap() {
                match value.as_str() {
                    Some("") => drop(attributes.remove(name)),
                    _ => drop(attributes.insert(name.clone(), value.clone())),
                }
            }
            json!({})
        }
        other => panic!("nobody asks SQS for {other}"),
    };
    answer.to_string().into_response()
}

/// STS and IAM.
fn query(things: &Things, body: &str) -> Response {
    let fields: Vec<(String, String)> = body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| {
            let value = percent_encoding::percent_decode_str(value).decode_utf8();
            (name.to_owned(), value.unwrap().into_owned())
        })
        .collect();
    let field = |name: &str| fields.iter().find(|it| it.0 == name).map(|it| it.1.clone());
    let action = field("Action").unwrap();
    let result = match action.as_str() {
        "GetCallerIdentity" => format!(
            "<Arn>arn:aws:iam::{0}:user/tester</Arn><UserId>U</UserId><Account>{0}</Account>",
            things.account
        ),
        "SimulatePrincipalPolicy" => {
            let names = fields
                .iter()
                .filter(|it| it.0.starts_with("ActionNames.member"));
            let is_given = |key: &&String| {
                let entries = fields.iter().filter(|it| it.0.ends_with(".ContextKeyName"));
                entries.map(|it| &it.1).any(|it| it == *key)
            };
            let missing: String = things
                .conditions
                .iter()
                .filter(|key| !is_given(key))
                .map(|key| format!("<member>{key}</member>"))
                .collect();
            let results = names.map(|(_, name)| {
                let is_lacking = things.lacking.contains(name) || !missing.is_empty();
                let decision = if is_lacking {
                    "implicitDeny"
                } else {
                    "allowed"
                };
                format!(
                    "<member><EvalActionName>{name}</EvalActionName>\
                     <EvalDecision>{decision}</EvalDecision>\
                     <MissingContextValues>{missing}</MissingContextValues></member>"
                )
            });
            let results: String = results.collect();
            format!("<EvaluationResults>{results}</EvaluationResults>")
        }
        other => panic!("nobody asks for {other}"),
    };
    if things
        .denied
        .iter()
        .any(|it| it.ends_with(&format!(":{action}")))
    {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                    <Message>no</Message></Error><RequestId>r</RequestId></ErrorResponse>";
        return (StatusCode::FORBIDDEN, body).into_response();
    }
    format!(
        "<{action}Response><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
    .into_response()
}

fn lambda(things: &mut Things, method: &Method, uri: &Uri, body: &Value) -> Response {
    let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8();
    let path = path.unwrap().into_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
    let action = match (method.as_str(), parts.as_slice()) {
        ("GET", ["event-source-mappings"]) => "ListEventSourceMappings",
        ("GET", ["functions", _, "configuration"]) => "GetFunctionConfiguration",
        ("GET", ["functions", _, "policy"]) => "GetPolicy",
        ("POST", ["functions", _, "policy"]) => "AddPermission",
        ("DELETE", ["functions", _, "policy", _]) => "RemovePermission",
        ("GET", ["functions", _, "event-invoke-config"]) => "GetFunctionEventInvokeConfig",
        other => panic!("nobody asks Lambda for {other:?}"),
    };
    if let Some(denied) = denied(things, &format!("lambda:{action}")) {
        return denied;
    }
    if action == "ListEventSourceMappings" {
        return json!({ "EventSourceMappings": things.mappings })
            .to_string()
            .into_response();
    }
    let absent = || error(StatusCode::NOT_FOUND, "ResourceNotFoundException");
    let name = parts[1].rsplit(':').next().unwrap();
    let Some(function) = things.functions.get_mut(name) else {
        return absent();
    };
    let answer = match action {
        "GetFunctionConfiguration" => function.configuration.clone(),
        "GetPolicy" if function.statements.is_empty() => return absent(),
        "GetPolicy" => {
            let policy = json!({ "Version": "2012-10-17", "Statement": function.statements });
            json!({ "Policy": policy.to_string() })
        }
        "AddPermission" => {
            let statement = json!({
                "Sid": body["StatementId"],
                "Effect": "Allow",
                "Principal": { "Service": body["Principal"] },
                "Action": body["Action"],
                "Resource": FUNCTION,
                "Condition": {
                    "StringEquals": { "AWS:SourceAccount": body["SourceAccount"] },
                    "ArnLike": { "AWS:SourceArn": body["SourceArn"] },
                },
            });
            function.statements.push(statement.clone());
            json!({ "Statement": statement.to_string() })
        }
        "RemovePermission" => {
            let before = function.statements.len();
            function.statements.retain(|it| it["Sid"] != parts[3]);
            if function.statements.len() == before {
                return absent();
            }
            return StatusCode::NO_CONTENT.into_response();
        }
        _ => match &function.on_failure {
            Some(destination) if destination.is_empty() => json!({ "MaximumRetryAttempts": 1 }),
            Some(destination) => {
                json!({ "DestinationConfig": { "OnFailure": { "Destination": destination } } })
            }
            None => return absent(),
        },
    };
    answer.to_string().into_response()
}
