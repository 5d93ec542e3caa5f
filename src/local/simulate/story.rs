//! A run told to a person, line by line in the order of time.

use std::fmt::Write;

use super::model::Answer;
use super::oracle::Run;
use super::plan::{Effect, Plan, SECOND, State};
use super::trace::Line;

/// What happened where, and what is wrong with it.
pub fn story(plan: &Plan, run: &Run) -> String {
    let mut text = String::new();
    for (at, line) in run.trace.lines() {
        if let Some(said) = say(plan, line) {
            let seconds = *at as f64 / SECOND as f64;
            let _ = writeln!(text, "{seconds:>11.6}  {said}");
        }
    }
    for divergence in &run.divergences {
        let _ = writeln!(text, "      wrong  {divergence}");
    }
    text
}

fn shown(state: Option<State>) -> String {
    state.map_or("absent".to_owned(), |state| state.to_string())
}

fn bucket(number: u8) -> String {
    if number == 0 {
        "master".to_owned()
    } else {
        format!("replica-{number}")
    }
}

fn say(plan: &Plan, line: &Line) -> Option<String> {
    Some(match line {
        Line::Operated { id, key, state } => {
            let what = plan
                .operation(*id)
                .map(|operation| operation.what.to_string())
                .unwrap_or_default();
            format!("p{id}: {what} on master/k{key}, now {}", shown(*state))
        }
        Line::Started {
            delivery,
            attempt,
            events,
            ..
        } => {
            let events: Vec<String> = events.iter().map(|event| format!("p{event}")).collect();
            let is_sync = |id: u16| {
                plan.deliveries
                    .iter()
                    .any(|one| one.id == id && one.is_sync)
            };
            let what = if is_sync(*delivery) { "a sync, " } else { "" };
            format!(
                "{what}delivery {delivery}, attempt {}: {}",
                attempt + 1,
                events.join(" ")
            )
        }
        Line::Sent {
            request,
            delivery,
            bucket: at,
            key,
            operation,
            effect,
            ..
        } => {
            let effect = effect
                .map(|effect| format!(", {}", happening(effect)))
                .unwrap_or_default();
            format!(
                "  #{request} delivery {delivery} sends {operation} {}/k{key}{effect}",
                bucket(*at)
            )
        }
        Line::Read {
            request,
            reply,
            read,
        } => match reply {
            Answer::Raced => format!("  #{request} finds that it was overtaken"),
            Answer::Done | Answer::Begun(_) => return None,
            Answer::Listed(None) => format!("  #{request} finds no upload"),
            Answer::Listed(Some(upload)) => {
                format!("  #{request} finds the upload {}", upload.id)
            }
            _ => format!("  #{request} reads {}", shown(*read)),
        },
        Line::Wrote { request, after } => format!("  #{request} TAKES EFFECT: {}", shown(*after)),
        Line::Noticed { request, answer } => format!("  #{request} ends with {answer:?}"),
        Line::Ended {
            delivery,
            how,
            outcomes,
            ..
        } => {
            format!("delivery {delivery} {how} {}", outcomes.join(" "))
        }
        Line::Wire(text) => text.clone(),
        Line::GivenUp { delivery, .. } => {
            format!("delivery {delivery} goes to the queue of failures")
        }
    })
}

fn happening(effect: Effect) -> String {
    match effect {
        Effect::Slow(_) => "slowly".to_owned(),
        Effect::Answer(200) => "answered by an error in a 200".to_owned(),
        Effect::Answer(status) => format!("answered {status}"),
        Effect::Reset {
            takes_effect: true, ..
        } => "its answer is lost".to_owned(),
        Effect::Reset { .. } => "its connection ends".to_owned(),
        Effect::Silence { .. } => "never answered".to_owned(),
        Effect::Kill { sent: true, .. } => "and dies".to_owned(),
        Effect::Kill { .. } => "no, it dies before".to_owned(),
        Effect::Freeze(time) => format!("and freezes for {} ms", time / 1000),
    }
}
