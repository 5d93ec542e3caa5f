//! Which program is the function.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{CommandError, FunctionArguments};
use crate::local::lambda::Program;

/// The function's program, and the folder that has to stay while it runs.
pub(super) struct FunctionProgram {
    pub(super) program: Program,
    _unpacked: Option<TempDir>,
}

impl FunctionArguments {
    /// The function that was asked for.
    pub(super) fn program(&self) -> Result<FunctionProgram, CommandError> {
        let found = match &self.function {
            Some(path) if path.extension().is_some_and(|extension| extension == "zip") => {
                unpack(path)
            }
            Some(path) => existing(path),
            None => default(),
        };
        let name = self
            .function
            .as_deref()
            .unwrap_or(Path::new("bootstrap"))
            .display()
            .to_string();
        found.map_err(|error| {
            CommandError::Input(format!("cannot run the function {name}: {error}"))
        })
    }
}

fn existing(path: &Path) -> io::Result<FunctionProgram> {
    let mode = path.metadata()?.permissions().mode();
    if path.is_dir() || mode & 0o111 == 0 {
        return Err(io::Error::other("it is not an executable file"));
    }
    let program = Program::new(path.canonicalize()?);
    Ok(FunctionProgram {
        program,
        _unpacked: None,
    })
}

/// The bootstrap beside this program, unless it is older: `cargo run` builds only one of them, and
/// yesterday's function must not answer for today's code.
fn default() -> io::Result<FunctionProgram> {
    let this = std::env::current_exe()?;
    let beside = this.with_file_name("bootstrap");
    let modified = |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified());
    let is_current = match (modified(&beside), modified(&this)) {
        (Ok(beside), Ok(this)) => beside >= this,
        _ => false,
    };
    let mut program = Program::new(if is_current { beside } else { this });
    if !is_current {
        program.args.push("function".into());
    }
    Ok(FunctionProgram {
        program,
        _unpacked: None,
    })
}

/// Takes `bootstrap` out of a Lambda package.
fn unpack(package: &Path) -> io::Result<FunctionProgram> {
    let folder = tempfile::Builder::new()
        .prefix("s3-replicator-")
        .tempdir()?;
    let path = folder.path().join("bootstrap");
    let mut archive = zip::ZipArchive::new(File::open(package)?).map_err(io::Error::other)?;
    let mut packed = archive
        .by_name("bootstrap")
        .map_err(|error| io::Error::other(format!("no bootstrap in the package: {error}")))?;
    io::copy(&mut packed, &mut File::create(&path)?)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(FunctionProgram {
        program: Program::new(path),
        _unpacked: Some(folder),
    })
}
