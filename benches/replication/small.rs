//! Small objects within one service, to one target and to three.

use std::fs;

use super::events::{event, keys};
use super::peers::Peers;
use super::process::{Cost, run};
use super::report::{Report, each, median};
use super::store::Minio;
use super::{Bench, Fallible};

/// Who copies; what the report calls them.
pub(crate) const ONE_EVENT: &str = "s3-replicator, one event";
pub(crate) const MANY_EVENTS: &str = "s3-replicator, an event each";
pub(crate) const S5CMD_CP: &str = "s5cmd cp *";
pub(crate) const S5CMD_RUN: &str = "s5cmd run";
pub(crate) const RCLONE: &str = "rclone copy";

const MASTER: &str = "small";

/// What is measured, as the report calls it.
pub(crate) fn what(targets: usize) -> String {
    match targets {
        1 => "small object, 1 target".to_owned(),
        _ => format!("small object, {targets} targets"),
    }
}

/// The same objects copied by all in turns, several times, the medians reported.
pub(crate) fn measure(bench: &Bench, minio: &Minio, report: &mut Report) -> Fallible<()> {
    let keys = keys("objects", bench.size.small);
    minio.create_bucket(MASTER)?;
    minio.put_all(MASTER, &keys, "")?;
    let buckets: Vec<String> = (1..=3).map(|n| format!("small-{n}")).collect();
    for bucket in &buckets {
        minio.create_bucket(bucket)?;
    }
    for count in [1, 3] {
        let scene = Scene {
            bench,
            minio,
            keys: &keys,
            targets: &buckets[..count],
        };
        let targets: Vec<String> = scene
            .targets
            .iter()
            .map(|t| format!("{t}@us-east-1"))
            .collect();
        minio.set_targets(MASTER, &targets)?;
        let few = &keys[..bench.size.events];
        let mut contenders: Vec<(&str, &[String], Way<'_>)> = vec![
            (ONE_EVENT, &keys, Box::new(|keys| scene.one_event(keys))),
            (MANY_EVENTS, few, Box::new(|keys| scene.many_events(keys))),
        ];
        if let Some(peers) = &bench.peers {
            contenders.push((S5CMD_CP, &keys, Box::new(|_| scene.s5cmd_cp(peers))));
            contenders.push((S5CMD_RUN, &keys, Box::new(|_| scene.s5cmd_run(peers))));
            contenders.push((RCLONE, &keys, Box::new(|_| scene.rclone(peers))));
        }
        let mut costs = vec![Vec::new(); contenders.len()];
        for _ in 0..bench.size.repeats {
            for ((who, keys, copy), costs) in contenders.iter().zip(&mut costs) {
                for target in scene.targets {
                    minio.empty(target)?;
                }
                costs.push(copy(keys)?);
                for target in scene.targets {
                    let (there, _) = minio.content(target)?;
                    if there != keys.len() {
                        let wanted = keys.len();
                        return Err(format!("{who}: {there} of {wanted} in {target}").into());
                    }
                }
            }
        }
        for ((who, keys, _), costs) in contenders.iter().zip(&costs) {
            report.add(&what(count), who, &each(median(costs), keys.len()));
        }
    }
    Ok(())
}

/// A way to copy these keys to all targets.
type Way<'a> = Box<dyn Fn(&[String]) -> Fallible<Cost> + 'a>;

struct Scene<'a> {
    bench: &'a Bench,
    minio: &'a Minio,
    keys: &'a [String],
    targets: &'a [String],
}

impl Scene<'_> {
    /// All keys in one invocation of a new process. Its start counts, as that of the others does.
    fn one_event(&self, keys: &[String]) -> Fallible<Cost> {
        let mut function = self.bench.start(self.minio, &[])?;
        let cost = function.invoke(&event("ObjectCreated:Put", MASTER, keys))?;
        Ok(Cost {
            cpu: function.cpu()?,
            wall: cost.wall + function.cold_start.wall,
            peak: cost.peak,
        })
    }

    /// An invocation for each key, one after the other, in one process.
    fn many_events(&self, keys: &[String]) -> Fallible<Cost> {
        let mut function = self.bench.start(self.minio, &[])?;
        let mut wall = function.cold_start.wall;
        for key in keys {
            let key = std::slice::from_ref(key);
            wall += function
                .invoke(&event("ObjectCreated:Put", MASTER, key))?
                .wall;
        }
        Ok(Cost {
            cpu: function.cpu()?,
            wall,
            peak: 0,
        })
    }

    fn s5cmd_cp(&self, peers: &Peers) -> Fallible<Cost> {
        self.each_target(|target| {
            let mut command = peers.s5cmd(&self.minio.address);
            command.args([
                "cp",
                &format!("s3://{MASTER}/*"),
                &format!("s3://{target}/"),
            ]);
            run(&mut command, &self.bench.log("s5cmd"))
        })
    }

    /// One process that is told every single copy.
    fn s5cmd_run(&self, peers: &Peers) -> Fallible<Cost> {
        let copies = self.keys.iter().flat_map(|key| {
            let targets = self.targets.iter();
            targets.map(move |target| format!("cp s3://{MASTER}/{key} s3://{target}/{key}\n"))
        });
        let script = self.bench.folder.join("s5cmd-script");
        fs::write(&script, copies.collect::<String>())?;
        let mut command = peers.s5cmd(&self.minio.address);
        command.arg("run").arg(script);
        run(&mut command, &self.bench.log("s5cmd"))
    }

    fn rclone(&self, peers: &Peers) -> Fallible<Cost> {
        self.each_target(|target| {
            let (from, to) = (format!("store:{MASTER}"), format!("store:{target}"));
            let mut command = peers.rclone(&self.minio.address, &from, &to);
            run(&mut command, &self.bench.log("rclone"))
        })
    }

    fn each_target(&self, copy: impl Fn(&str) -> Fallible<Cost>) -> Fallible<Cost> {
        let mut sum = Cost::default();
        for target in self.targets {
            let cost = copy(target)?;
            sum.cpu += cost.cpu;
            sum.wall += cost.wall;
        }
        Ok(sum)
    }
}
