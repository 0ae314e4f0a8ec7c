//! ONNX Runtime: where its shared library is looked for, and the one environment of the process.
//!
//! Nothing is linked against it; a node without the library starts, and says so when a model is first needed.
//! The runtime allows one environment a process, so the library that was loaded first stays.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

use super::InferenceError;

static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The places that are searched, in this order.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// From the configuration: the library or its folder.
    pub configured: Option<PathBuf>,
    /// Value of `ORT_DYLIB_PATH`: the library or its folder.
    pub variable: Option<PathBuf>,
    /// The executable's folder.
    pub executable: Option<PathBuf>,
    /// The working directory, whose `.runtime` is searched.
    pub working: Option<PathBuf>,
}

impl Search {
    /// The search of this process.
    #[must_use]
    pub fn of_process(configured: Option<PathBuf>) -> Search {
        let executable = std::env::current_exe().ok();
        Search {
            configured,
            variable: std::env::var_os("ORT_DYLIB_PATH").filter(|v| !v.is_empty()).map(PathBuf::from),
            executable: executable.and_then(|e| e.parent().map(Path::to_owned)),
            working: std::env::current_dir().ok(),
        }
    }
}

/// The library's path; `None` when only the system's loader may still know one. What is named explicitly must exist:
/// no other library is taken in its place.
pub fn locate(search: &Search) -> Result<Option<PathBuf>, InferenceError> {
    if let Some(named) = search.configured.as_ref().or(search.variable.as_ref()) {
        let found = if named.is_dir() { library_in(named) } else { Some(named.clone()).filter(|p| p.is_file()) };
        return found.map(Some).ok_or_else(|| InferenceError::RuntimeMissing { searched: named.display().to_string() });
    }
    let folders = [search.executable.clone(), search.working.as_ref().map(|w| w.join(".runtime"))];
    Ok(folders.iter().flatten().find_map(|folder| library_in(folder)))
}

/// The library in a folder, the last by name where there are several.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let names = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.file_name());
    let newest = names.filter(is_library).max()?;
    Some(folder.join(newest))
}

fn is_library(name: &OsString) -> bool {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let name = name.to_string_lossy();
    let rest = name.strip_prefix(&format!("{prefix}onnxruntime"));
    rest.is_some_and(|r| r.starts_with('.') && r.contains(suffix))
}

/// The process's environment, made at the first call.
pub(super) fn environment(search: &Search) -> Result<Environment, InferenceError> {
    let library = locate(search)?;
    let mut loaded = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = loaded.as_ref() {
        return Ok(environment.clone());
    }
    let environment = load(library)?;
    *loaded = Some(environment.clone());
    Ok(environment)
}

fn load(library: Option<PathBuf>) -> Result<Environment, InferenceError> {
    let by_system = library.is_none();
    let name = || format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let path = library.unwrap_or_else(|| PathBuf::from(name()));
    let unusable = |reason: String| InferenceError::RuntimeUnusable { path: path.clone(), reason };
    let builder = ort::init_from(&path).map_err(|e| match e {
        ort::LoadDynamicError::Dlopen { .. } if by_system => InferenceError::RuntimeMissing {
            searched: "the configuration, ORT_DYLIB_PATH, beside the executable, ./.runtime and the system".to_owned(),
        },
        other => unusable(other.to_string()),
    })?;
    let environment = builder.with_name("sagittal").with_telemetry(false).with_logger(Arc::new(log)).build();
    let environment = environment.map_err(|e| unusable(e.to_string()))?;
    environment.set_log_level(LogLevel::Warning);
    tracing::info!(library = %path.display(), "ONNX Runtime loaded");
    Ok(environment)
}

fn log(level: LogLevel, category: &str, _id: &str, _location: &str, message: &str) {
    match level {
        LogLevel::Verbose | LogLevel::Info => tracing::debug!(category, "{message}"),
        LogLevel::Warning => tracing::warn!(category, "{message}"),
        LogLevel::Error | LogLevel::Fatal => tracing::error!(category, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn library(folder: &Path, name: &str) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, "").unwrap();
        path
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn places_are_searched_in_order() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let mut search = Search { executable: Some(at("bin")), working: Some(at("work")), ..Search::default() };
        assert_eq!(locate(&search).unwrap(), None);
        library(&at("work/.runtime"), "libonnxruntime_providers_shared.so");
        assert_eq!(locate(&search).unwrap(), None);
        let working = library(&at("work/.runtime"), "libonnxruntime.so.1.31.1");
        assert_eq!(locate(&search).unwrap(), Some(working));
        let beside = library(&at("bin"), "libonnxruntime.so");
        assert_eq!(locate(&search).unwrap(), Some(beside));
        let variable = library(&at("variable"), "any.name");
        search.variable = Some(variable.clone());
        assert_eq!(locate(&search).unwrap(), Some(variable));
        let configured = library(&at("configured"), "libonnxruntime.so.1.31.1");
        search.configured = Some(at("configured"));
        assert_eq!(locate(&search).unwrap(), Some(configured));
    }

    #[test]
    fn a_named_library_that_is_not_there_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let search = Search { configured: Some(root.path().join("libmissing.so")), ..Search::of_process(None) };
        let message = locate(&search).unwrap_err().to_string();
        assert!(message.contains("libmissing.so") && message.contains("make runtime"), "{message}");
    }
}
