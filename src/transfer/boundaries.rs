//! Where the master's parts begin, as the master itself tells.
//!
//! `GetObjectAttributes` lists parts only where there are checksums; else a HEAD names the size of
//! one part. Where the first, the last and the count fit equal parts, these are assumed, and the
//! ETag that comes out is the proof.

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::types::ObjectAttributes;
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::layout::{Form, Layout, Part};
use super::{Job, checksum_of};
use crate::error::{Failure, Kind};
use crate::s3::send;

/// The parts of a master.
#[derive(Debug)]
pub(super) struct Boundaries {
    pub(super) layout: Layout,
    /// Whether the sizes are inferred from the first and the last one.
    pub(super) assumed: bool,
    /// The parts that were assumed before, and are not the master's.
    refuted: Option<Layout>,
    /// The parts' own checksums, in order; empty where the master keeps none.
    pub(super) checksums: Vec<String>,
}

/// The object is another one than was observed.
#[derive(Debug, thiserror::Error)]
#[error("the object changed while its parts were read")]
struct Changed;

impl Boundaries {
    fn of(layout: Layout, assumed: bool) -> Self {
        Self {
            layout,
            assumed,
            refuted: None,
            checksums: Vec::new(),
        }
    }

    /// The parts as they are to be moved: first those that refute what was assumed, so that an
    /// upload which is left behind tells whoever takes it up.
    pub(super) fn in_turn(&self) -> Vec<&Part> {
        let is_as_assumed = |part: &&Part| match &self.refuted {
            Some(assumed) => assumed.part(part.number) == Some(*part),
            None => true,
        };
        let mut parts: Vec<&Part> = self.layout.parts().iter().collect();
        parts.sort_by_key(is_as_assumed);
        parts
    }

    /// The boundaries for a form by parts; exact ones where what was `assumed` has been refuted.
    pub(super) async fn read(job: &Job<'_>, form: Form, refuted: bool) -> Result<Self, Failure> {
        let Form::MastersParts(count) = form else {
            return own(job);
        };
        if count == 1 {
            return Ok(Self::of(Layout::of([job.object.size]), false));
        }
        if !job.object.checksums.values.is_empty()
            && let Some(listed) = listed(job, count).await?
        {
            return Ok(listed);
        }
        let ends = match ends(job, count).await? {
            Some(ends) => ends,
            None => return own(job),
        };
        let assumed = match ends.guess(job.object.size, count) {
            Guess::Exact(layout) => return Ok(Self::of(layout, false)),
            Guess::Assumed(layout) if !refuted => return Ok(Self::of(layout, true)),
            Guess::Assumed(layout) => Some(layout),
            Guess::None => None,
        };
        let sizes: Vec<Option<u64>> = stream::iter(1..=count)
            .map(|number| head_part(job, number))
            .buffered(job.limits.places())
            .try_collect()
            .await?;
        let sizes: Option<Vec<u64>> = sizes.into_iter().collect();
        match sizes.filter(|sizes| sizes.iter().sum::<u64>() == job.object.size) {
            Some(sizes) => Ok(Self {
                refuted: assumed,
                ..Self::of(Layout::of(sizes), false)
            }),
            None => own(job),
        }
    }
}

/// Parts of our size, where the master gives no boundaries.
fn own(job: &Job<'_>) -> Result<Boundaries, Failure> {
    let layout = Layout::own(job.object.size, job.limits.part_size).map_err(|cause| {
        let place = job.master.place(Some(job.key));
        Failure::new(Kind::Permanent, "cutting into parts", place, cause)
    })?;
    Ok(Boundaries::of(layout, false))
}

/// The sizes of the first and of the last part.
struct Ends {
    first: u64,
    last: u64,
}

/// What the ends tell of what is in between.
enum Guess {
    /// Everything.
    Exact(Layout),
    /// It would fit equal parts.
    Assumed(Layout),
    None,
}

impl Ends {
    fn guess(&self, size: u64, count: u32) -> Guess {
        let Self { first, last } = *self;
        let Some(between) = size.checked_sub(first + last) else {
            return Guess::None;
        };
        match u64::from(count) {
            2 if between == 0 => Guess::Exact(Layout::of([first, last])),
            3 if between > 0 => Guess::Exact(Layout::of([first, between, last])),
            count @ 4.. if between == (count - 2) * first && last <= first => {
                Guess::Assumed(Layout::equal(size, first))
            }
            _ => Guess::None,
        }
    }
}

/// `None` where the store does not know its parts any more.
async fn ends(job: &Job<'_>, count: u32) -> Result<Option<Ends>, Failure> {
    let (first, last) = try_join(head_part(job, 1), head_part(job, count)).await?;
    let ends = first.zip(last);
    Ok(ends.map(|(first, last)| Ends { first, last }))
}

/// All parts as `GetObjectAttributes` lists them; `None` where it lists none, or is refused.
async fn listed(job: &Job<'_>, count: u32) -> Result<Option<Boundaries>, Failure> {
    let (mut sizes, mut checksums, mut marker) = (Vec::new(), Vec::new(), None);
    loop {
        let request = job
            .master
            .site
            .client
            .get_object_attributes()
            .bucket(&job.master.name)
            .key(job.key.as_str())
            .object_attributes(ObjectAttributes::Etag)
            .object_attributes(ObjectAttributes::ObjectParts)
            .set_part_number_marker(marker);
        let attempted = "GetObjectAttributes";
        let answer = send(
            job.master,
            Some(job.key),
            attempted,
            job.until,
            request.send(),
        )
        .await;
        let output = match answer {
            Ok(output) => output,
            // Another permission than reading, and not every store has it: HEAD tells as well.
            Err(failure) if !failure.kind.is_retryable() => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let etag = output.e_tag.unwrap_or_default();
        if etag.trim_matches('"') != job.object.etag {
            let place = job.master.place(Some(job.key));
            return Err(Failure::new(Kind::Raced, attempted, place, Changed));
        }
        let Some(parts) = output.object_parts else {
            return Ok(None);
        };
        for part in parts.parts.unwrap_or_default() {
            sizes.push(part.size.unwrap_or_default().unsigned_abs());
            checksums.extend(checksum_of!(part));
        }
        marker = parts.next_part_number_marker;
        if !parts.is_truncated.unwrap_or_default() {
            break;
        }
    }
    let complete = sizes.len() == count as usize && sizes.iter().sum::<u64>() == job.object.size;
    if checksums.len() != sizes.len() {
        checksums.clear();
    }
    Ok(complete.then(|| Boundaries {
        checksums,
        ..Boundaries::of(Layout::of(sizes), false)
    }))
}

/// The size of one part, if the store tells.
async fn head_part(job: &Job<'_>, number: u32) -> Result<Option<u64>, Failure> {
    let number = i32::try_from(number).expect("at most 10,000");
    let attempted = "HeadObject";
    let request = async {
        let request = job.master.site.client.head_object();
        let request = request.bucket(&job.master.name).key(job.key.as_str());
        let request = request.if_match(format!("\"{}\"", job.object.etag));
        match request.part_number(number).send().await {
            Ok(output) => Ok(Some(output)),
            // HEAD has no body to say that it was the key.
            Err(SdkError::ServiceError(error)) if error.err().is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    };
    let Some(output) = send(job.master, Some(job.key), attempted, job.until, request).await? else {
        let place = job.master.place(Some(job.key));
        return Err(Failure::new(Kind::Raced, attempted, place, Changed));
    };
    // A store that knows no parts answers with the whole object.
    let is_part = output.parts_count.is_some();
    let size = output.content_length.filter(|_| is_part);
    Ok(size.map(i64::unsigned_abs))
}
