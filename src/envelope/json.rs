//! Reading JSON leniently where it does not matter and strictly where it does.
//!
//! The library's own messages are not passed on: they quote what they read.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::malformed::{Malformed, Place};

/// Bytes of a hint that are kept; a longer one is none.
const MAX_HINT_BYTES: usize = 96;

/// Reads an object into borrowed fields.
pub(super) fn object<'a, T: Deserialize<'a>>(
    text: &'a str,
    place: &Place<'_>,
) -> Result<T, Malformed> {
    const EXPECTED: &str = "a JSON object";

    // Left to itself, the library would take an array for a struct.
    if !text.trim_start().starts_with('{') {
        return Err(place.malformed(EXPECTED, describe(text)));
    }
    serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            // Fields are raw or lenient, so that nothing else can be wrong with them.
            place.malformed(EXPECTED, "an object with one field given twice")
        } else {
            place.malformed(EXPECTED, not_json(&error))
        }
    })
}

/// Reads an array, and leaves its elements as they are.
pub(super) fn array<'a>(
    raw: &'a RawValue,
    place: &Place<'_>,
) -> Result<Vec<&'a RawValue>, Malformed> {
    serde_json::from_str(raw.get()).map_err(|_| place.malformed("an array", describe(raw.get())))
}

/// The text that a value is, or `None` for anything else.
pub(super) fn text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    serde_json::from_str(raw?.get()).ok().map(|Text(text)| text)
}

/// The text that a value has to be.
pub(super) fn require_text<'a>(
    raw: Option<&'a RawValue>,
    place: &Place<'_>,
) -> Result<Cow<'a, str>, Malformed> {
    text(raw).ok_or_else(|| place.malformed("a text", describe(raw.map_or("", RawValue::get))))
}

/// The text under which something is reported back.
pub(super) fn require_id<'a>(
    raw: Option<&'a RawValue>,
    place: &Place<'_>,
) -> Result<Cow<'a, str>, Malformed> {
    let id = require_text(raw, place)?;
    if id.is_empty() {
        Err(place.malformed("an id", "an empty text"))
    } else {
        Ok(id)
    }
}

/// A text for logs, if there is one.
pub(super) fn hint(raw: Option<&RawValue>) -> Option<String> {
    text(raw)
        .filter(|text| (1..=MAX_HINT_BYTES).contains(&text.len()))
        .map(Cow::into_owned)
}

/// A number for logs, if there is one.
pub(super) fn number_hint(raw: Option<&RawValue>) -> Option<u64> {
    serde_json::from_str(raw?.get()).ok()
}

/// What a text is, without its contents.
fn describe(text: &str) -> Cow<'static, str> {
    if text.trim_start().is_empty() {
        return "nothing".into();
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return not_json(&error).into();
    }
    match text.trim_start().as_bytes()[0] {
        b'{' => "an object",
        b'[' => "an array",
        b'"' => "a text",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "a number",
    }
    .into()
}

fn not_json(error: &serde_json::Error) -> String {
    format!(
        "no JSON at line {}, column {}",
        error.line(),
        error.column()
    )
}
