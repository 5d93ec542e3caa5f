//! `--include` and `--exclude`, whose order on the command line counts.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::drift::filter::Pattern;

/// The patterns, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns(pub(crate) Vec<Pattern>);

impl FromArgMatches for Patterns {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut patterns = Vec::new();
        for (id, include) in [("include", true), ("exclude", false)] {
            let globs = matches.get_many::<String>(id).into_iter().flatten();
            let places = matches.indices_of(id).into_iter().flatten();
            patterns.extend(places.zip(globs).map(|(place, glob)| {
                let glob = glob.clone();
                (place, Pattern { include, glob })
            }));
        }
        patterns.sort_by_key(|(place, _)| *place);
        let patterns = patterns.into_iter().map(|(_, pattern)| pattern);
        Ok(Self(patterns.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Patterns {
    fn augment_args(command: Command) -> Command {
        let option = |name: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name("PATTERN")
                .action(ArgAction::Append)
                .help(help)
        };
        command
            .arg(option(
                "exclude",
                "Leaves out keys that match: `*` any text, `?` any character, `[ab]`, `[!ab]`; of \
                 several patterns, the last one that matches decides",
            ))
            .arg(option("include", "Takes keys that match in again"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
