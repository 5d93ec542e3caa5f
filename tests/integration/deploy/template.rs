//! `deploy/template.yaml`, with its parameters filled in as CloudFormation does it.
//!
//! What CloudFormation makes known only later, the ARN of a resource say, stands as `Logical.Arn`.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

pub(super) const ACCOUNT: &str = "123456789012";

/// The template and a value for each of its parameters.
pub(super) struct Template {
    root: Value,
    parameters: BTreeMap<String, Value>,
}

impl Template {
    /// The template with these parameters, and its defaults for the others.
    pub(super) fn with(given: &[(&str, &str)]) -> Self {
        let text = std::fs::read_to_string("deploy/template.yaml").unwrap();
        let documents = Yaml::load_from_str(&text).unwrap();
        let root = json_of(&documents[0]);
        let given: BTreeMap<&str, &str> = given.iter().copied().collect();
        let declared = root["Parameters"].as_object().unwrap();
        let parameters = declared.iter().map(|(name, declared)| {
            let value = match given.get(name.as_str()) {
                Some(given) => json!(given),
                None => declared.get("Default").expect(name).clone(),
            };
            if let Some(allowed) = declared.get("AllowedValues") {
                assert!(allowed.as_array().unwrap().contains(&value), "{name}");
            }
            let value = match declared["Type"].as_str() {
                Some("CommaDelimitedList") => {
                    json!(value.as_str().unwrap().split(',').collect::<Vec<_>>())
                }
                _ => value,
            };
            (name.clone(), value)
        });
        let parameters = parameters.collect();
        Self { root, parameters }
    }

    /// The properties of a resource.
    pub(super) fn properties(&self, resource: &str) -> Value {
        let resource = &self.root["Resources"][resource];
        assert!(resource.is_object(), "there is no such resource");
        self.resolve(&resource["Properties"]).unwrap()
    }

    /// `None` is `AWS::NoValue`.
    fn resolve(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Object(fields) => match fields.iter().next() {
                Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => {
                    self.call(name, argument)
                }
                _ => {
                    let fields = fields.iter();
                    let fields = fields
                        .filter_map(|(name, value)| Some((name.clone(), self.resolve(value)?)));
                    Some(Value::Object(fields.collect()))
                }
            },
            Value::Array(items) => {
                Some(items.iter().filter_map(|item| self.resolve(item)).collect())
            }
            scalar => Some(scalar.clone()),
        }
    }

    fn call(&self, function: &str, argument: &Value) -> Option<Value> {
        let resolved = |index: usize| self.resolve(&argument[index]).expect("a value");
        Some(match function {
            "Ref" => match argument.as_str().unwrap() {
                "AWS::NoValue" => return None,
                name => self.reference(name),
            },
            "Fn::GetAtt" => argument.clone(),
            "Fn::Sub" => {
                let (text, given) = match argument {
                    Value::Array(both) => (&both[0], self.resolve(&both[1]).unwrap()),
                    text => (text, Value::Null),
                };
                json!(self.substitute(text.as_str().unwrap(), &given))
            }
            "Fn::Join" => {
                let items = resolved(1);
                let items = items.as_array().unwrap().iter().map(text);
                json!(items.collect::<Vec<_>>().join(&text(&argument[0])))
            }
            "Fn::Split" => {
                let whole = text(&resolved(1));
                json!(whole.split(&text(&argument[0])).collect::<Vec<_>>())
            }
            "Fn::If" => {
                let condition = &self.root["Conditions"][argument[0].as_str().unwrap()];
                let branch = if self.holds(condition) { 1 } else { 2 };
                return self.resolve(&argument[branch]);
            }
            "Fn::FindInMap" => {
                let path = [resolved(0), resolved(1), resolved(2)];
                let found = path
                    .iter()
                    .fold(&self.root["Mappings"], |map, key| &map[text(key)]);
                assert!(!found.is_null(), "{path:?} is in no mapping");
                found.clone()
            }
            other => panic!("{other} is not known here"),
        })
    }

    fn reference(&self, name: &str) -> Value {
        match (name, self.parameters.get(name)) {
            (_, Some(value)) => value.clone(),
            ("AWS::AccountId", _) => json!(ACCOUNT),
            ("AWS::Region", _) => json!("eu-central-1"),
            (name, None) => {
                assert!(self.root["Resources"][name].is_object(), "what is {name}?");
                json!(name)
            }
        }
    }

    fn substitute(&self, text_: &str, given: &Value) -> String {
        let mut pieces = text_.split("${");
        let mut whole = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}').unwrap();
            match (name.strip_prefix('!'), given.get(name)) {
                (Some(literal), _) => whole.push_str(&format!("${{{literal}}}")),
                (None, Some(value)) => whole.push_str(&text(value)),
                (None, None) if name.contains('.') => whole.push_str(name),
                (None, None) => whole.push_str(&text(&self.reference(name))),
            }
            whole.push_str(rest);
        }
        whole
    }

    fn holds(&self, condition: &Value) -> bool {
        let (function, arguments) = condition.as_object().unwrap().iter().next().unwrap();
        match function.as_str() {
            "Fn::Not" => !self.holds(&arguments[0]),
            "Fn::Equals" => self.resolve(&arguments[0]) == self.resolve(&arguments[1]),
            other => panic!("{other} is not known here"),
        }
    }
}

/// A scalar as CloudFormation puts it into text.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A short form becomes the long one: `!Ref A` is `{"Ref": "A"}`.
fn json_of(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(json_of).collect(),
        Yaml::Mapping(fields) => {
            let field = |(name, value)| (text(&json_of(name)), json_of(value));
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        Yaml::Tagged(tag, value) => match tag.suffix.as_str() {
            "Ref" => json!({"Ref": json_of(value)}),
            name => json!({format!("Fn::{name}"): json_of(value)}),
        },
        other => panic!("{other:?} is not known here"),
    }
}
