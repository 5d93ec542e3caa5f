//! How a walk ends that is not as it was meant.

use super::arguments::WalkArguments;
use super::form::quoted;
use super::opened::Opened;
use crate::change::ObjectKey;
use crate::cli::CommandError;
use crate::drift::scope::Rule;
use crate::drift::walk::Walked;

impl WalkArguments {
    /// No key at all was met: an error where something else was asked for than everything.
    pub(crate) fn refuse_nothing(&self, opened: &Opened) -> Result<(), CommandError> {
        let master = &self.master;
        if self.start_after.is_some() {
            return Ok(());
        }
        if !opened.selection.filter.is_any() {
            return Err(CommandError::Input(format!(
                "no key of {master} and of its targets matches the patterns"
            )));
        }
        if self.from_inventory.is_some() {
            return Err(CommandError::Input(format!(
                "the inventory has no key that is covered of {master}"
            )));
        }
        let scope = &opened.selection.scope;
        let rules: Vec<String> = scope.rules().iter().map(Rule::to_string).collect();
        match master.rest.as_deref() {
            _ if scope.is_everything() => Ok(()),
            None => Err(CommandError::Input(format!(
                "no key of {master} and of its targets is covered by the notification rules: {}",
                rules.join(" ")
            ))),
            Some(prefix) => Err(CommandError::Input(format!(
                "no key of s3://{} and of its targets begins with `{}`",
                master.bucket,
                prefix.escape_debug()
            ))),
        }
    }

    /// What a walk that ended early goes on behind. An inventory is in no order to go on in.
    pub(crate) fn position<'a>(&self, walked: &'a Walked) -> Option<&'a ObjectKey> {
        match walked.is_complete() || self.from_inventory.is_some() {
            true => None,
            false => walked.position.as_ref(),
        }
    }

    /// Says what ended the walk early, and how to go on.
    pub(crate) fn explain_early_end(&self, walked: &Walked) {
        if walked.is_complete() {
            return;
        }
        if let Some(failure) = &walked.failure {
            anstream::eprintln!("error: not every key was seen: {}", failure.chain());
        }
        match self.position(walked) {
            Some(position) => anstream::eprintln!(
                "to go on, give the same command with --start-after {}",
                quoted(position.as_str())
            ),
            None => anstream::eprintln!("to go on, begin anew: no key is confirmed yet"),
        }
    }
}
