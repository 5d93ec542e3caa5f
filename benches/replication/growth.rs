//! What becomes of a change's cost when more and more come in one invocation.

use super::events::{event, keys};
use super::process::{Cost, forget_peak, memory};
use super::report::{Report, each};
use super::store::Minio;
use super::{Bench, Fallible};

const MASTER: &str = "growing";
const TARGET: &str = "growing-1";
const OURS: &str = "s3-replicator";

/// Changes before the measured ones, so that connections are there; and measured ones at least.
const WARM: usize = 100;

/// What is measured, as the report calls it.
pub(crate) fn what(changes: usize) -> String {
    match changes {
        1 => "1 change in an invocation".to_owned(),
        _ => format!("{changes} changes in an invocation"),
    }
}

/// CPU a change in milliseconds.
pub(crate) fn cpu(report: &Report, changes: usize) -> Option<f64> {
    report.get(&what(changes), OURS, "cpu_ms")
}

/// Memory of the whole invocation in MiB, its payload not counted.
pub(crate) fn memory_mib(report: &Report, changes: usize) -> Option<f64> {
    report.get(&what(changes), OURS, "peak_mib")
}

/// Copies to one target, from a new process for each number.
pub(crate) fn measure(bench: &Bench, minio: &Minio, report: &mut Report) -> Fallible<()> {
    let most = bench.size.growth.iter().copied().max().unwrap_or(0);
    let (keys, warm) = (keys("objects", most.max(WARM)), keys("warm", WARM));
    minio.create_bucket(MASTER)?;
    minio.create_bucket(TARGET)?;
    minio.set_targets(MASTER, &[format!("{TARGET}@us-east-1")])?;
    minio.put_all(MASTER, &keys, "")?;
    minio.put_all(MASTER, &warm, "")?;
    for &changes in bench.size.growth {
        minio.empty(TARGET)?;
        let mut function = bench.start(minio, &[])?;
        function.invoke(&event("ObjectCreated:Put", MASTER, &warm))?;
        forget_peak(function.pid())?;
        let before = memory(function.pid(), "VmRSS")?;
        let measured = &keys[..changes.max(WARM)];
        let (mut sum, mut payload) = (Cost::default(), 0);
        for keys in measured.chunks(changes) {
            let event = event("ObjectCreated:Put", MASTER, keys);
            payload = event.len() as u64;
            let cost = function.invoke(&event)?;
            sum.cpu += cost.cpu;
            sum.wall += cost.wall;
            sum.peak = cost.peak;
        }
        let (there, _) = minio.content(TARGET)?;
        if there != measured.len() + WARM {
            return Err(format!("{there} of {} objects arrived", measured.len() + WARM).into());
        }
        let memory = sum.peak.saturating_sub(before).saturating_sub(payload);
        let mut values = each(sum, measured.len()).to_vec();
        values.push(("peak_mib", memory as f64 / 1024.0 / 1024.0));
        report.add(&what(changes), OURS, &values);
    }
    minio.empty(MASTER)?;
    minio.empty(TARGET)
}
