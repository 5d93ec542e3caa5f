//! `demo`: the tour.

use clap::Args;

use super::replay::{built_in, clean_up, run};
use super::spectator::{Form, line};
use super::{CommandError, Ended, FunctionArguments, told_to_end};

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator demo
  s3-replicator demo --json | jq 'select(.happened == \"outcome\")'";

const TOUR: &str = include_str!("../../fixtures/recordings/tour.jsonl");

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Prints JSON Lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    function: FunctionArguments,
}

impl Demo {
    pub(super) async fn run(self) -> Result<Ended, CommandError> {
        let tour = built_in("tour.jsonl", TOUR);
        let function = self.function.program()?;
        let form = if self.json { Form::Json } else { Form::Lines };
        if form == Form::Lines {
            let header = &tour.header;
            line(format_args!(
                "master {} in {}",
                header.master.name, header.master.region
            ));
            for target in &header.targets {
                line(format_args!(
                    "target {} in {}",
                    target.bucket.name, target.bucket.region
                ));
            }
            line(format_args!(""));
        }
        let store = self.function.store.open().await?;
        let touring = async {
            let (replayed, world) = run(&tour, &function.program, &store, form).await?;
            world.stop().await;
            Ok(match replayed.failed {
                0 => Ended::Well,
                _ => Ended::WithDifferences,
            })
        };
        let ended = tokio::select! {
            ended = touring => ended,
            () = told_to_end() => Ok(Ended::Interrupted),
        };
        clean_up(&store).await;
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tour_loads() {
        assert_eq!(built_in("tour.jsonl", TOUR).header.targets.len(), 2);
    }
}
