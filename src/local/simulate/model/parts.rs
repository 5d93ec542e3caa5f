//! A copy by parts in the model: as `transfer` does it on S3, two parts an object.

use futures_util::future::join_all;

use super::bucket::{PARTS, Upload};
use super::request::{Answer, Call, Tag};
use super::store::{Key, exact, failure, tag};
use crate::error::Kind;
use crate::local::simulate::mutant::Mutant;
use crate::object::Object;
use crate::reconcile::Written;

/// What is known of an upload that is under way.
struct Open {
    id: u32,
    parts: [Option<u8>; PARTS],
    resumed: bool,
}

impl Key<'_, '_> {
    /// Takes an upload up or begins one, sends what it lacks, and completes it.
    pub(super) async fn by_parts(&self, master: &Object, target: u8) -> Written {
        let mut open = match self.open(master, target).await {
            Ok(open) => open,
            Err(kind) => return Written::failed(failure(kind, "CreateMultipartUpload")),
        };
        let missing = (0..PARTS as u8).filter(|part| open.parts[usize::from(*part)].is_none());
        let moves = missing.map(|part| self.part(master, target, open.id, part));
        for moved in join_all(moves).await {
            match moved {
                Ok((part, content)) => open.parts[usize::from(part)] = Some(content),
                Err(kind) => return self.given_up(target, &open, kind).await,
            }
        }
        let parts = open.parts.map(|part| part.expect("all have been moved"));
        let is_proven = parts
            .iter()
            .all(|part| Tag(u32::from(*part)) == tag(master));
        let proves = self.world.rules.mutant != Some(Mutant::ResumeUnproven);
        if open.resumed && proves && !is_proven {
            return self.given_up(target, &open, Kind::Raced).await;
        }
        let complete = Call::Complete { id: open.id, parts };
        let written = self
            .written(target, complete, "CompleteMultipartUpload")
            .await;
        if written.result.is_err() {
            let _ = self.request(target, Call::Abort(open.id)).await;
        }
        Written {
            resumed: open.resumed,
            ..written
        }
    }

    async fn open(&self, master: &Object, target: u8) -> Result<Open, Kind> {
        let plan = self.world.plan;
        let is_far = plan.shape.streams && target == plan.shape.targets;
        let is_admissible = |upload: &Upload| {
            let later = i64::from(upload.initiated) > master.last_modified;
            !plan.shape.encrypted && (is_far || later)
        };
        loop {
            match self.request(target, Call::ListUploads).await.0? {
                Answer::Listed(Some(upload)) if is_admissible(&upload) => {
                    return Ok(Open {
                        id: upload.id,
                        parts: upload.parts,
                        resumed: true,
                    });
                }
                Answer::Listed(Some(upload)) => {
                    self.request(target, Call::Abort(upload.id)).await.0?;
                }
                _ => break,
            }
        }
        match self.request(target, Call::Begin(exact(master))).await.0? {
            Answer::Begun(id) => Ok(Open {
                id,
                parts: [None; PARTS],
                resumed: false,
            }),
            _ => Err(Kind::Raced),
        }
    }

    async fn part(&self, master: &Object, target: u8, id: u32, part: u8) -> Result<(u8, u8), Kind> {
        let plan = self.world.plan;
        let if_match = tag(master);
        if plan.shape.streams && target == plan.shape.targets {
            let content = self.get(self.bucket, master).await?;
            let put = Call::PutPart { id, part, content };
            self.request(target, put).await.0?;
            return Ok((part, content));
        }
        let copy = Call::CopyPart {
            from: self.bucket,
            if_match,
            id,
            part,
        };
        self.request(target, copy).await.0?;
        // The answer has the part's ETag: what was read is what the condition demands.
        Ok((part, u8::try_from(if_match.0).unwrap_or(u8::MAX)))
    }

    /// Nothing can be aborted after the deadline, which leaves the upload for the next delivery.
    async fn given_up(&self, target: u8, open: &Open, kind: Kind) -> Written {
        let _ = self.request(target, Call::Abort(open.id)).await;
        Written::failed(failure(kind, "UploadPart"))
    }
}
