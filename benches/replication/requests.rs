//! How many requests one change costs, by the store's own count.

use super::events::{event, keys};
use super::report::Report;
use super::store::Minio;
use super::{Bench, Fallible};

const MASTER: &str = "counted";
const OURS: &str = "s3-replicator";

/// Changes that are counted together.
const COUNT: usize = 20;

/// What happens to an object.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Copy,
    Equal,
    TaggedCopy,
    TaggedEqual,
    Delete,
}

pub(crate) const CASES: [Case; 5] = [
    Case::Copy,
    Case::Equal,
    Case::TaggedCopy,
    Case::TaggedEqual,
    Case::Delete,
];

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Equal => "all equal",
            Self::TaggedCopy => "copy with tags",
            Self::TaggedEqual => "all equal with tags",
            Self::Delete => "delete",
        }
    }

    /// At most so many, for so many targets.
    pub(crate) fn budget(self, targets: usize) -> usize {
        match self {
            Self::Copy | Self::Delete => 2 + 2 * targets,
            Self::Equal => 1 + targets,
            Self::TaggedCopy => 4 + 2 * targets,
            Self::TaggedEqual => 2 + 2 * targets,
        }
    }
}

/// What is measured, as the report calls it.
pub(crate) fn what(case: Case, targets: usize) -> String {
    let plural = if targets == 1 { "" } else { "s" };
    format!("{}, {targets} target{plural}", case.name())
}

/// What one such change costs, if it was measured.
pub(crate) fn measured(report: &Report, case: Case, targets: usize) -> Option<f64> {
    report.get(&what(case, targets), OURS, "requests")
}

/// Every case with one target and with three. What a process asks once, and an invocation, is
/// asked before the count begins or is not counted.
pub(crate) fn measure(bench: &Bench, minio: &Minio, report: &mut Report) -> Fallible<()> {
    minio.create_bucket(MASTER)?;
    let buckets: Vec<String> = (1..=3).map(|n| format!("counted-{n}")).collect();
    for bucket in &buckets {
        minio.create_bucket(bucket)?;
    }
    let (plain, tagged) = (keys("plain", COUNT + 1), keys("tagged", COUNT + 1));
    for targets in [1, 3] {
        let sites: Vec<String> = buckets[..targets]
            .iter()
            .map(|b| format!("{b}@us-east-1"))
            .collect();
        minio.set_targets(MASTER, &sites)?;
        minio.put_all(MASTER, &plain, "")?;
        minio.put_all(MASTER, &tagged, "team=storage")?;
        let mut function = bench.start(minio, &[])?;
        for case in CASES {
            let (name, keys) = match case {
                Case::Copy | Case::Equal => ("ObjectCreated:Put", &plain),
                Case::TaggedCopy | Case::TaggedEqual => ("ObjectCreated:Put", &tagged),
                Case::Delete => ("ObjectRemoved:Delete", &plain),
            };
            if let Case::Delete = case {
                minio.empty(MASTER)?;
            }
            let (first, rest) = keys.split_at(1);
            function.invoke(&event(name, MASTER, first))?;
            let before = minio.requests()?;
            let cost = function.invoke(&event(name, MASTER, rest))?;
            let after = minio.requests()?;
            let of = |name: &String| after[name] - before.get(name).unwrap_or(&0);
            let counted = after.keys().filter(|name| *name != "HeadBucket");
            let requests: u64 = counted.map(of).sum();
            report.add(
                &what(case, targets),
                OURS,
                &[
                    ("cpu_ms", cost.cpu.as_secs_f64() * 1000.0 / COUNT as f64),
                    ("requests", requests as f64 / COUNT as f64),
                ],
            );
        }
        for bucket in &buckets {
            minio.empty(bucket)?;
        }
    }
    Ok(())
}
