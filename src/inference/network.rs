//! One network, run once: a tensor in, labels out. The tensor is lent to the runtime and labels are read from the
//! runtime's own output, so no copy of either is made.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use ndarray::{Array3, ArrayView3};
use ort::ErrorCode;
use ort::session::{RunOptions, Session};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};
use rayon::prelude::*;

use super::InferenceError;
use super::device::POLL;
use super::package::{Decision, GridRule, Stage};

/// Voxels decided at a time: their best values stay in the processor's first cache.
const BLOCK: usize = 4096;

/// What a network is given.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub channels: usize,
    /// In standard layout; the channels lie one behind the other along axis 0.
    pub values: ArrayView3<'a, f32>,
}

/// Checks that the network takes and gives the tensors that the stage names.
pub(super) fn check_signature(
    session: &Session,
    stage: &Stage,
    channels: usize,
    file: &Path,
) -> Result<(), InferenceError> {
    let wrong = |reason: String| Err(signature(file, reason));
    let shape = |list: &[Outlet], name: &str| {
        let found = list.iter().find(|o| o.name() == name)?;
        match found.dtype() {
            ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } if shape.len() == 5 => Some(shape.to_vec()),
            _ => None,
        }
    };
    let names = |list: &[Outlet]| list.iter().map(|o| o.name().to_owned()).collect::<Vec<_>>().join(", ");
    let Some(input) = shape(session.inputs(), &stage.input) else {
        let found = names(session.inputs());
        return wrong(format!("it has no float input `{}` with 5 dimensions (inputs: {found})", stage.input));
    };
    let Some(output) = shape(session.outputs(), &stage.output) else {
        let found = names(session.outputs());
        return wrong(format!("it has no float output `{}` with 5 dimensions (outputs: {found})", stage.output));
    };
    let size = match stage.grid {
        GridRule::Conform { size, .. } | GridRule::Resize { size, .. } | GridRule::Part { size, .. } => {
            Some(size as i64)
        }
        GridRule::Crop { .. } => None,
    };
    let wanted = [Some(1), Some(channels as i64), size, size, size];
    if input.iter().zip(wanted).any(|(&has, wants)| has >= 0 && Some(has) != wants) {
        return wrong(format!(
            "input `{}` has the fixed shape {input:?}, which the stage's grid and {channels} channels do not fit",
            stage.input
        ));
    }
    let classes = stage.decision.classes();
    if output[1] >= 0 && output[1] != classes as i64 {
        return wrong(format!("output `{}` has {} channels, decide.classes says {classes}", stage.output, output[1]));
    }
    Ok(())
}

/// Runs the stage's network on `input` and decides: labels of the shape of one channel. Asks `cancelled`
/// on the calling thread while the network runs on another. `shrink`: whether the session gives the memory it worked in back
/// at the end.
pub(super) fn label(
    session: &mut Session,
    shrink: bool,
    stage: &Stage,
    file: &Path,
    input: Input<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<Array3<u8>, InferenceError> {
    if cancelled() {
        return Err(InferenceError::Cancelled);
    }
    let mut options = RunOptions::new().map_err(|e| failure(file, e.message()))?;
    if shrink {
        options.set("memory.enable_memory_arena_shrinkage", "cpu:0").map_err(|e| failure(file, e.message()))?;
    }
    let options = &options;
    let mut stopped = false;
    let outcome = thread::scope(|scope| {
        let (done, finished) = channel::<()>();
        let worker = scope.spawn(move || {
            let _done = done;
            run(session, options, stage, file, input)
        });
        while finished.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
            if !stopped && cancelled() {
                stopped = options.terminate().is_ok();
            }
        }
        worker.join()
    });
    if stopped {
        return Err(InferenceError::Cancelled);
    }
    outcome.unwrap_or_else(|_| Err(failure(file, "it panicked")))
}

fn run(
    session: &mut Session,
    options: &RunOptions,
    stage: &Stage,
    file: &Path,
    Input { channels, values }: Input<'_>,
) -> Result<Array3<u8>, InferenceError> {
    let (planes, b, c) = values.dim();
    let a = planes / channels;
    let values = values.to_slice().ok_or_else(|| failure(file, "its input is not in standard layout"))?;
    let input = TensorRef::from_array_view(([1, channels, a, b, c], values)).map_err(|e| failure(file, e.message()))?;
    let outputs = session.run_with_options(ort::inputs![stage.input.as_str() => input], options);
    let outputs = outputs.map_err(|e| match e.code() {
        // The network does not take this shape, and never will.
        ErrorCode::InvalidArgument => signature(file, e.message().to_owned()),
        _ => failure(file, e.message()),
    })?;
    let output = outputs.get(&stage.output).ok_or_else(|| failure(file, "its output is missing"))?;
    let (shape, values) = output.try_extract_tensor::<f32>().map_err(|e| failure(file, e.message()))?;
    let expected = vec![1, stage.decision.classes(), a, b, c];
    if shape.iter().map(|d| *d as usize).ne(expected.iter().copied()) {
        let (output, found) = (stage.output.clone(), shape.to_vec());
        return Err(InferenceError::WrongShape { file: file.to_owned(), output, expected, found });
    }
    let labels = decide(values, a * b * c, stage.decision)
        .ok_or_else(|| InferenceError::NotFinite { file: file.to_owned(), output: stage.output.clone() })?;
    Array3::from_shape_vec((a, b, c), labels).map_err(|e| failure(file, &e.to_string()))
}

fn signature(file: &Path, reason: String) -> InferenceError {
    InferenceError::Signature { file: file.to_owned(), reason }
}

/// The runtime has no error code for memory; its allocators' words are the only sign.
fn failure(file: &Path, reason: &str) -> InferenceError {
    let (file, reason) = (file.to_owned(), reason.to_owned());
    let signs = ["Failed to allocate memory", "bad_alloc", "out of memory", "smaller than requested bytes"];
    if signs.iter().any(|s| reason.contains(s)) {
        InferenceError::MemoryExhausted { file, reason }
    } else {
        InferenceError::Failed { file, reason }
    }
}

/// Labels of `voxels` voxels from `values`, class after class; `None` where a value is not a finite number.
fn decide(values: &[f32], voxels: usize, decision: Decision) -> Option<Vec<u8>> {
    let mut labels = vec![0_u8; voxels];
    let finite = labels.par_chunks_mut(BLOCK).enumerate().all(|(block, labels)| {
        let count = labels.len();
        let of = |class: usize| &values[class * voxels + block * BLOCK..][..count];
        match decision {
            Decision::Argmax { classes } => argmax(labels, classes, of),
            Decision::Threshold { channel, above, .. } => {
                labels.iter_mut().zip(of(channel)).for_each(|(label, value)| *label = u8::from(*value > above));
                all_finite(of(channel))
            }
        }
    });
    finite.then_some(labels)
}

fn argmax<'a>(labels: &mut [u8], classes: usize, of: impl Fn(usize) -> &'a [f32]) -> bool {
    let mut best = [f32::NEG_INFINITY; BLOCK];
    (0..classes).all(|class| {
        raise(labels, &mut best, of(class), class as u8);
        all_finite(of(class))
    })
}

/// Gives `class` to the voxels where its value is larger than the best before.
fn raise(labels: &mut [u8], best: &mut [f32], values: &[f32], class: u8) {
    for ((label, best), value) in labels.iter_mut().zip(best).zip(values) {
        let wins = *value > *best;
        *label = if wins { class } else { *label };
        *best = if wins { *value } else { *best };
    }
}

fn all_finite(values: &[f32]) -> bool {
    values.iter().fold(true, |all, v| all & v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_class_wins_and_ties_go_to_the_lower() {
        let values =
            [0.0, 1.0, 5.0, -1.0, /* class 1 */ 0.0, 2.0, 4.0, -2.0, /* class 2 */ 1.0, 2.0, 5.0, -3.0];
        assert_eq!(decide(&values, 4, Decision::Argmax { classes: 3 }), Some(vec![2, 1, 0, 0]));
    }

    #[test]
    fn blocks_are_decided_alike() {
        let voxels = 3 * BLOCK + 5;
        let values: Vec<f32> = (0..2 * voxels).map(|i| if i < voxels { 0.5 } else { (i % 2) as f32 }).collect();
        let labels = decide(&values, voxels, Decision::Argmax { classes: 2 }).unwrap_or_default();
        assert!((0..voxels).all(|v| usize::from(labels[v]) == (v + voxels) % 2));
    }

    #[test]
    fn a_threshold_is_exceeded_not_reached() {
        let threshold = Decision::Threshold { classes: 2, channel: 1, above: 0.5 };
        assert_eq!(decide(&[0.9, 0.9, 0.5, 0.6], 2, threshold), Some(vec![0, 1]));
    }

    #[test]
    fn values_that_are_not_numbers_give_no_labels() {
        for bad in [f32::NAN, f32::INFINITY] {
            assert_eq!(decide(&[0.0, bad, 1.0, 1.0], 2, Decision::Argmax { classes: 2 }), None);
            assert_eq!(decide(&[0.0, 0.0, 1.0, bad], 2, Decision::Argmax { classes: 2 }), None);
        }
    }

    #[test]
    fn lack_of_memory_is_told_from_other_failures() {
        let check = |reason: &str| failure(Path::new("m.onnx"), reason);
        assert!(matches!(
            check("Failed to allocate memory for requested buffer"),
            InferenceError::MemoryExhausted { .. }
        ));
        assert!(matches!(check("Non-zero status code"), InferenceError::Failed { .. }));
    }
}
