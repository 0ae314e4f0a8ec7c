//! Intensities of a tensor, as the network saw them when it was trained. Sums run over fixed blocks in a fixed order, so
//! that the same tensor gives the same bits however many threads there are.

use rayon::prelude::*;

use super::package::IntensityStep;
use crate::volume::quantiles;

const BLOCK: usize = 1 << 16;
/// Added and taken away again, it leaves a small value rounded to a whole number, halves to even: the unit of its last place
/// is 1. Much faster than asking for it where the processor's oldest instructions must do.
const WHOLE: f32 = 12_582_912.0;

/// Values that `Window` found, for a later `WindowOf`.
pub(super) type Window = (f64, f64);

/// Applies the steps in order. `windows` holds what each earlier stage's `Window` found. The error says what is wrong
/// with the image.
pub(super) fn prepare(
    values: &mut [f32],
    steps: &[IntensityStep],
    windows: &[Option<Window>],
) -> Result<Option<Window>, String> {
    let mut found = None;
    for (at, step) in steps.iter().enumerate() {
        match *step {
            // `Bytes` leaves its whole range used: dividing by it is all that `MinMax` would do, and needs no pass of its own.
            IntensityStep::Bytes { quantile } => {
                let divided = matches!(steps.get(at + 1), Some(IntensityStep::MinMax));
                bytes(values, quantile, if divided { 255.0 } else { 1.0 })?;
            }
            IntensityStep::MinMax if matches!(steps[..at].last(), Some(IntensityStep::Bytes { .. })) => {}
            IntensityStep::FixedWindow { low, high } => stretch(values, (low, high))?,
            IntensityStep::MinMax => stretch(values, extremes(values))?,
            IntensityStep::Window { low, high } => {
                let ends = quantiles(values, |_| true, &[low, high]).ok_or("it has no voxels")?;
                found = Some((ends[0], ends[1]));
                stretch(values, (ends[0], ends[1]))?;
            }
            IntensityStep::WindowOf { of } => {
                let window = windows.get(of).copied().flatten().ok_or("an earlier stage found no window")?;
                stretch(values, window)?;
            }
            IntensityStep::Standardise { mean, deviation } => standardise(values, mean, deviation)?,
        }
    }
    Ok(found)
}

/// Whole numbers from 0 to 255, then divided.
fn bytes(values: &mut [f32], quantile: f64, divisor: f32) -> Result<(), String> {
    let (low, _) = extremes(values);
    let high = quantiles(values, |v| v > 0.0, &[quantile]).ok_or("it has no voxel above 0")?[0];
    stretch_to(values, (low, high), |v| ((v * 255.0 + WHOLE) - WHOLE) / divisor)
}

/// `low` to 0, `high` to 1, clipped.
fn stretch(values: &mut [f32], window: Window) -> Result<(), String> {
    stretch_to(values, window, |v| v)
}

/// As [`stretch`], then `after`, in one pass.
fn stretch_to(values: &mut [f32], (low, high): Window, after: impl Fn(f32) -> f32 + Sync) -> Result<(), String> {
    if high.partial_cmp(&low) != Some(std::cmp::Ordering::Greater) {
        return Err("its voxels all have one value".to_owned());
    }
    let (low, span) = (low as f32, (high - low) as f32);
    values.par_iter_mut().for_each(|v| *v = after(((*v - low) / span).clamp(0.0, 1.0)));
    Ok(())
}

fn extremes(values: &[f32]) -> (f64, f64) {
    let start = (f32::INFINITY, f32::NEG_INFINITY);
    let wider = |(low, high): (f32, f32), v: f32| (if v < low { v } else { low }, if v > high { v } else { high });
    let block = |part: &[f32]| part.iter().fold(start, |ends, v| wider(ends, *v));
    let joined = |a, (low, high)| wider(wider(a, low), high);
    let (low, high) = values.par_chunks(BLOCK).map(block).reduce(|| start, joined);
    (f64::from(low), f64::from(high))
}

fn standardise(values: &mut [f32], mean: f64, deviation: f64) -> Result<(), String> {
    let count = values.len() as f64;
    let is = sum(values, |v| v) / count;
    let spread = (sum(values, |v| (v - is).powi(2)) / (count - 1.0)).sqrt();
    if spread.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
        return Err("its voxels all have one value".to_owned());
    }
    let (is, spread, mean, deviation) = (is as f32, spread as f32, mean as f32, deviation as f32);
    values.par_iter_mut().for_each(|v| *v = deviation * ((*v - is) / spread) + mean);
    Ok(())
}

fn sum(values: &[f32], of: impl Fn(f64) -> f64 + Sync) -> f64 {
    let block = |part: &[f32]| part.iter().map(|v| of(f64::from(*v))).sum::<f64>();
    values.par_chunks(BLOCK).map(block).collect::<Vec<f64>>().iter().sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(values: &[f32], steps: &[IntensityStep], expected: &[f32]) {
        let mut values = values.to_vec();
        prepare(&mut values, steps, &[Some((10.0, 20.0))]).unwrap();
        assert_eq!(values, expected);
    }

    #[test]
    fn each_step_does_what_it_says() {
        let bytes = IntensityStep::Bytes { quantile: 1.0 };
        check(&[-10.0, 0.0, 41.0, 245.0], &[bytes], &[0.0, 10.0, 51.0, 255.0]);
        check(&[-10.0, 0.0, 41.0, 245.0], &[IntensityStep::Bytes { quantile: 0.5 }], &[0.0, 17.0, 85.0, 255.0]);
        check(&[2.0, 4.0, 6.0], &[IntensityStep::MinMax], &[0.0, 0.5, 1.0]);
        check(&[-10.0, 0.0, 41.0, 245.0], &[bytes, IntensityStep::MinMax], &[0.0, 10.0 / 255.0, 0.2, 1.0]);
        check(&[0.0, 10.0, 20.0, 40.0], &[IntensityStep::Window { low: 0.0, high: 0.5 }], &[0.0, 2.0 / 3.0, 1.0, 1.0]);
        check(&[0.0, 10.0, 15.0, 40.0], &[IntensityStep::WindowOf { of: 0 }], &[0.0, 0.0, 0.5, 1.0]);
        check(&[-9.0, 0.0, 1.0, 4.0], &[IntensityStep::FixedWindow { low: 0.0, high: 2.0 }], &[0.0, 0.0, 0.5, 1.0]);
        check(&[1.0, 3.0, 5.0], &[IntensityStep::Standardise { mean: 10.0, deviation: 4.0 }], &[6.0, 10.0, 14.0]);
    }

    #[test]
    fn a_window_is_handed_on() {
        let window = prepare(&mut [0.0, 8.0], &[IntensityStep::Window { low: 0.25, high: 1.0 }], &[]);
        assert_eq!(window.unwrap(), Some((2.0, 8.0)));
    }

    #[test]
    fn an_empty_image_is_told() {
        let all = [
            IntensityStep::Bytes { quantile: 0.9 },
            IntensityStep::MinMax,
            IntensityStep::Window { low: 0.1, high: 0.9 },
            IntensityStep::Standardise { mean: 0.0, deviation: 1.0 },
        ];
        for step in all {
            assert!(prepare(&mut [0.0; 8], &[step], &[]).is_err(), "{step:?}");
        }
    }
}
