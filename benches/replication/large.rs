//! Large objects to three targets, by the service itself and through the function.

use s3_replicator::error::chain;

use super::events::event;
use super::process::{Cost, run};
use super::report::{Report, median};
use super::store::Minio;
use super::{Bench, ELSEWHERE, Fallible, Large};

pub(crate) const OURS: &str = "s3-replicator, 3 targets";
pub(crate) const S5CMD: &str = "s5cmd cp, 1 target";
pub(crate) const RCLONE: &str = "rclone copy, 1 target";

const MASTER: &str = "large";
const KEY: &str = "object.bin";
const MIB: usize = 1024 * 1024;

/// Where an object goes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    ServerSide,
    Streamed,
}

/// What is measured, as the report calls it.
pub(crate) fn what(large: &Large, way: Way) -> String {
    let way = match way {
        Way::ServerSide => "server-side",
        Way::Streamed => "streamed",
    };
    format!("{}, {way}", large.name)
}

/// Each object in turn; nothing of it stays on the disk.
pub(crate) fn measure(bench: &Bench, minio: &Minio, report: &mut Report) -> Fallible<()> {
    minio.create_bucket(MASTER)?;
    let targets: Vec<String> = (1..=3).map(|n| format!("large-{n}")).collect();
    for target in &targets {
        minio.create_bucket(target)?;
    }
    for large in bench.size.large {
        let part = large.part_mib * MIB;
        minio.put_parts(MASTER, KEY, part, large.parts, large.checksum.clone())?;
        for way in [Way::ServerSide, Way::Streamed] {
            let scene = Scene {
                bench,
                minio,
                large,
                targets: &targets,
            };
            // What a store refuses is a finding, and no reason not to measure the rest.
            if let Err(error) = scene.measure(way, report) {
                let error = chain(&*error);
                report
                    .missing
                    .push(format!("{}: {error}", what(large, way)));
                for target in &targets {
                    minio.empty(target)?;
                }
            }
        }
        minio.empty(MASTER)?;
    }
    Ok(())
}

struct Scene<'a> {
    bench: &'a Bench,
    minio: &'a Minio,
    large: &'a Large,
    targets: &'a [String],
}

/// A copy, and how often each byte of the source was read for it.
#[derive(Clone, Copy)]
struct Moved {
    cost: Cost,
    reads: f64,
}

impl Scene<'_> {
    fn measure(&self, way: Way, report: &mut Report) -> Fallible<()> {
        let (mut ours, mut s5cmd, mut rclone) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.large.repeats {
            ours.push(self.moved(self.targets, || self.ours(way))?);
            let Some(peers) = &self.bench.peers else {
                continue;
            };
            let one = &self.targets[..1];
            let address = &self.minio.address;
            // It copies within one service only.
            if way == Way::ServerSide {
                s5cmd.push(self.moved(one, || {
                    let mut command = peers.s5cmd(address);
                    let (from, to) = (format!("s3://{MASTER}/{KEY}"), format!("s3://{}/", one[0]));
                    run(command.args(["cp", &from, &to]), &self.bench.log("s5cmd"))
                })?);
            }
            rclone.push(self.moved(one, || {
                let remote = match way {
                    Way::ServerSide => "store",
                    Way::Streamed => "other",
                };
                let (from, to) = (format!("store:{MASTER}"), format!("{remote}:{}", one[0]));
                let mut command = peers.rclone(address, &from, &to);
                run(&mut command, &self.bench.log("rclone"))
            })?);
        }
        let what = what(self.large, way);
        if way == Way::Streamed && ours.iter().any(|moved| moved.reads < 1.0) {
            return Err("the store says that it sent less than the whole object".into());
        }
        for (who, targets, moved) in [(OURS, 3, ours), (S5CMD, 1, s5cmd), (RCLONE, 1, rclone)] {
            if moved.is_empty() {
                continue;
            }
            let costs: Vec<Cost> = moved.iter().map(|moved| moved.cost).collect();
            // The worst is what counts of these.
            let reads = moved.iter().map(|moved| moved.reads).fold(0.0, f64::max);
            let peak = costs.iter().map(|cost| cost.peak).max().unwrap_or(0);
            let cost = median(&costs);
            let written = (self.size() * targets) as f64 / MIB as f64;
            report.add(
                &what,
                who,
                &[
                    ("cpu_ms", cost.cpu.as_secs_f64() * 1000.0),
                    ("wall_ms", cost.wall.as_secs_f64() * 1000.0),
                    ("mib_per_s", written / cost.wall.as_secs_f64()),
                    ("peak_mib", peak as f64 / MIB as f64),
                    ("source_reads", reads),
                ],
            );
        }
        Ok(())
    }

    fn size(&self) -> usize {
        self.large.part_mib * MIB * self.large.parts.unsigned_abs() as usize
    }

    /// Has it copied to empty targets, and looks whether it is there.
    fn moved(&self, targets: &[String], copy: impl FnOnce() -> Fallible<Cost>) -> Fallible<Moved> {
        let before = self.minio.sent()?;
        let cost = copy()?;
        let sent = self.minio.sent()?.saturating_sub(before);
        let size = self.size();
        for target in targets {
            let there = self.minio.content(target)?;
            if there != (1, i64::try_from(size)?) {
                return Err(format!("{there:?} in {target}, one object of {size} expected").into());
            }
            self.minio.empty(target)?;
        }
        Ok(Moved {
            cost,
            reads: sent as f64 / size as f64,
        })
    }

    /// One event to a new process.
    fn ours(&self, way: Way) -> Fallible<Cost> {
        let site = match way {
            Way::ServerSide => "us-east-1",
            Way::Streamed => ELSEWHERE,
        };
        let targets: Vec<String> = self.targets.iter().map(|t| format!("{t}@{site}")).collect();
        self.minio.set_targets(MASTER, &targets)?;
        let mut function = self.bench.start(self.minio, &[])?;
        let keys = [KEY.to_owned()];
        let payload = event("ObjectCreated:CompleteMultipartUpload", MASTER, &keys);
        let cost = function.invoke(&payload)?;
        Ok(Cost {
            cpu: function.cpu()?,
            wall: cost.wall + function.cold_start.wall,
            peak: cost.peak,
        })
    }
}
