//! The header line.

use std::path::Path;
use std::time::Duration;

use super::fields::{Fields, Value, boolean};
use super::values;
use crate::local::lambda::{Route, Source};
use crate::local::recording::FORMAT;
use crate::local::recording::header::{Batch, Bucket, Function, Header, TargetBucket};

/// What a Lambda function may have: seconds, instances, messages, seconds' wait.
const MOST_TIMEOUT: u32 = 900;
const MOST_CONCURRENCY: u64 = 1000;
const MOST_MESSAGES: u64 = 10_000;
const MOST_WINDOW: u64 = 300_000;

/// Whether the header is of the version that is read here; nothing else of another can be judged.
pub(super) fn is_supported(fields: &mut Fields<'_>) -> bool {
    let what = format!("{FORMAT}, the version of the format that is supported");
    let version = fields.required("recording", |mut value| {
        let is_known = value.reborrow().json() == FORMAT;
        if is_known {
            Some(())
        } else {
            value.expected(&what)
        }
    });
    version.is_some()
}

pub(super) fn read(mut fields: Fields<'_>, path: &Path) -> Option<Header> {
    let stem = || {
        path.file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into())
    };
    let name = fields.optional("name", values::id).unwrap_or_else(stem);
    let seed = fields
        .optional("seed", |value| value.unsigned(0..=u64::MAX))
        .unwrap_or(0);
    let sources = Source::ALL.map(Source::name).join(", ");
    let source: Source = fields
        .optional("source", |value| value.named(&format!("one of {sources}")))
        .unwrap_or_default();
    let master = fields.required("master", master);
    let targets = fields
        .optional("targets", |value| value.list("a list of targets", target))
        .unwrap_or_default();
    let function = fields.optional("function", function).unwrap_or_default();
    if fields.has("batch") && source.route() != Route::Queue {
        let found = format!("the source {source}");
        fields.report("batch", "this only with the source sqs or sns-sqs", found);
    }
    let batch = fields.optional("batch", batch).unwrap_or_default();
    let retries = fields.optional("retries", |value| value.unsigned(0..=2));
    let retries = retries.map_or(Header::RETRIES, |retries| retries as u8);
    let master = master.inspect(|master| check_together(master, &targets, &mut fields));
    fields.close();
    Some(Header {
        name,
        seed,
        source,
        master: master?,
        targets,
        function,
        batch,
        retries,
    })
}

fn master(value: Value<'_>) -> Option<Bucket> {
    let mut fields = value.fields()?;
    let bucket = bucket(&mut fields);
    fields.close();
    bucket
}

fn target(value: Value<'_>) -> Option<TargetBucket> {
    let mut fields = value.fields()?;
    let bucket = bucket(&mut fields);
    let separate = fields.optional("separate", boolean).unwrap_or(false);
    let create = fields.optional("create", boolean).unwrap_or(true);
    fields.close();
    Some(TargetBucket {
        bucket: bucket?,
        separate,
        create,
    })
}

fn bucket(fields: &mut Fields<'_>) -> Option<Bucket> {
    let name = fields.required("bucket", values::bucket_name);
    let region = fields.optional("region", values::region);
    let versioning = fields.optional("versioning", boolean).unwrap_or(false);
    let tags = fields
        .optional("tags", values::bucket_tags)
        .unwrap_or_default();
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    Some(Bucket {
        name: name?,
        region,
        versioning,
        tags,
    })
}

fn function(value: Value<'_>) -> Option<Function> {
    let mut fields = value.fields()?;
    let default = Function::default();
    let timeout = fields.optional("timeout_s", |value| value.seconds(MOST_TIMEOUT));
    let concurrency = fields.optional("concurrency", |value| value.unsigned(1..=MOST_CONCURRENCY));
    let environment = fields.optional("environment", values::environment);
    fields.close();
    Some(Function {
        timeout: timeout.unwrap_or(default.timeout),
        concurrency: concurrency.map_or(default.concurrency, |number| number as usize),
        environment: environment.unwrap_or_default(),
    })
}

fn batch(value: Value<'_>) -> Option<Batch> {
    let mut fields = value.fields()?;
    let default = Batch::default();
    let size = fields.optional("size", |value| value.unsigned(1..=MOST_MESSAGES));
    let window = fields.optional("window_ms", |value| value.unsigned(0..=MOST_WINDOW));
    let max_receives = fields.optional("max_receives", |value| value.unsigned(1..=1000));
    fields.close();
    Some(Batch {
        size: size.map_or(default.size, |number| number as usize),
        window: window.map_or(default.window, Duration::from_millis),
        max_receives: max_receives.map_or(default.max_receives, |number| number as u32),
    })
}

/// What one bucket alone does not show.
fn check_together(master: &Bucket, targets: &[TargetBucket], fields: &mut Fields<'_>) {
    for (index, target) in targets.iter().enumerate() {
        let Bucket { name, region, .. } = &target.bucket;
        let earlier = &targets[..index];
        let is_taken = *name == master.name || earlier.iter().any(|t| t.bucket.name == *name);
        if is_taken {
            let found = format!("{name:?} again");
            fields.report("targets", "buckets of different names", found);
        }
        let sites = earlier
            .iter()
            .map(|t| (t.bucket.region.as_str(), t.separate));
        let mut sites = std::iter::once((master.region.as_str(), false)).chain(sites);
        if sites.any(|(site, separate)| site == region && separate != target.separate) {
            let found = format!("{name:?} apart from others in {region}");
            fields.report(
                "targets",
                "all buckets of one region to be separate or none",
                found,
            );
        }
    }
}
