//! Kind `volume`: networks run one after another on one volume, the later ones on the part that an earlier one found;
//! labels end on the source's own grid.
//!
//! Arrays are freed as soon as no later stage needs them: the network's own memory is the peak.

use std::ops::Range;

use ndarray::{Array3, Axis};

use super::intensity::{Window, prepare};
use super::package::{AxisCodes, Channel, Cleanup, GridRule, ModelPackage};
use super::session::{Loaded, lock};
use super::{InferenceError, Progress, Step, network};
use crate::volume::{
    Connectivity, Grid, Orientation, Volume, VolumeError, bounding_box, crop, fill_holes, largest_component,
    nearest_exact, paste, reorient, resample, resample_labels,
};

/// Voxel ranges along an array's axes 2, 1, 0, the order that `volume` gives ranges in.
type Ranges = [Range<usize>; 3];

/// One run of a package.
pub(super) struct Cascade<'a> {
    pub package: &'a ModelPackage,
    /// One for each stage, taken when the stage runs.
    pub networks: Vec<Option<Loaded>>,
    pub progress: &'a (dyn Fn(Progress<'_>) + Sync),
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Cascade<'_> {
    /// Labels `[k][j][i]` on the grid of `volume`. `further`: the channels behind the first, on grids of their own.
    pub fn run(mut self, volume: Volume, further: Vec<Volume>) -> Result<Array3<u8>, InferenceError> {
        let stages = &self.package.stages;
        let Some(first) = stages.first() else { return Err(self.unsuitable("the model has no stages")) };
        if further.len() + 1 != self.package.channel_count() {
            return Err(self.unsuitable("it has another number of series than the model has channels"));
        }
        self.report(0, Step::Preparing);
        match first.grid {
            GridRule::Conform { axes, size, spacing } => self.conformed(volume, further, axes, size, spacing),
            GridRule::Resize { axes, size } => self.turned(volume, further, axes, size),
            GridRule::Crop { .. } | GridRule::Part { .. } => Err(self.unsuitable("its first stage has no grid")),
        }
    }

    /// Everything happens on one isotropic cube; later stages see crops of its tensor.
    fn conformed(
        &mut self,
        volume: Volume,
        further: Vec<Volume>,
        axes: AxisCodes,
        size: usize,
        spacing: f64,
    ) -> Result<Array3<u8>, InferenceError> {
        let package = self.package;
        let cube = Grid::conformed(&volume.grid, [size; 3], spacing, self.orientation(axes)?);
        let source = volume.grid.clone();
        let mut tensor = resample(&volume, &cube, 0.0).map_err(|e| self.geometry(e))?.voxels;
        self.prepare(&mut tensor, 0, &[])?;
        // The network is slow to reach its own peak, and the intensities above need both processors.
        release(volume);
        for (channel, volume) in (1..).zip(further) {
            let next = resample(&volume, &cube, 0.0).map_err(|e| self.geometry(e))?.voxels;
            self.beside(&mut tensor, next, channel)?;
        }
        let mut done = vec![self.infer(0, &tensor)?];
        self.tidy(0, &mut done[0]);
        let stages = &package.stages;
        for (index, stage) in stages.iter().enumerate().skip(1) {
            let GridRule::Crop { around, margin } = stage.grid else { continue };
            self.report(index, Step::Preparing);
            let found = bounding_box(&done[around]).ok_or_else(|| self.nothing(around))?;
            let ranges = found.map(|r| r.start.saturating_sub(margin)..(r.end + margin).min(size));
            let part = crop(&tensor, &ranges);
            if index + 1 == stages.len() {
                tensor = Array3::default((0, 0, 0));
            }
            let labels = self.infer(index, &part)?;
            let mut whole = Array3::zeros((size, size, size));
            paste(&mut whole, &labels, ranges.map(|r| r.start));
            self.tidy(index, &mut whole);
            done.push(whole);
        }
        self.report(stages.len() - 1, Step::Finishing);
        let labels = done.pop().unwrap_or_default();
        resample_labels(&labels, &cube, &source).map_err(|e| self.geometry(e))
    }

    /// The volume keeps its voxels, only turned; networks see it, or a part of it, resized.
    fn turned(
        &mut self,
        volume: Volume,
        further: Vec<Volume>,
        axes: AxisCodes,
        size: usize,
    ) -> Result<Array3<u8>, InferenceError> {
        let package = self.package;
        let orientation = self.orientation(axes)?;
        let (turned, turn) = reorient(&volume, orientation).map_err(|e| self.geometry(e))?;
        drop(volume);
        let (mut voxels, grid) = (turned.voxels, turned.grid);
        let (a, b, c) = voxels.dim();
        let mut tensor = nearest_exact(&voxels, [size; 3]);
        let mut windows = vec![self.prepare(&mut tensor, 0, &[])?];
        for (channel, volume) in (1..).zip(further) {
            let next = resample(&volume, &grid, 0.0).map_err(|e| self.geometry(e))?.voxels;
            self.beside(&mut tensor, nearest_exact(&next, [size; 3]), channel)?;
        }
        let mut done = vec![self.infer(0, &tensor)?];
        drop(tensor);
        self.tidy(0, &mut done[0]);
        let stages = &package.stages;
        if stages.len() == 1 {
            self.report(0, Step::Finishing);
            return Ok(turn.restore(&nearest_exact(&done[0], [a, b, c])));
        }
        for (index, stage) in stages.iter().enumerate().skip(1) {
            let GridRule::Part { around, size, occupancy, scale } = stage.grid else { continue };
            self.report(index, Step::Preparing);
            let ranges = part_of(&done[around], [c, b, a], occupancy, scale).ok_or_else(|| self.nothing(around))?;
            let mut tensor = nearest_exact(&crop(&voxels, &ranges), [size; 3]);
            if index + 1 == stages.len() {
                voxels = Array3::default((0, 0, 0));
            }
            windows.push(self.prepare(&mut tensor, index, &windows)?);
            let labels = self.infer(index, &tensor)?;
            drop(tensor);
            let [i, j, k] = ranges.clone().map(|r| r.len());
            let mut whole = Array3::zeros((a, b, c));
            paste(&mut whole, &nearest_exact(&labels, [k, j, i]), ranges.map(|r| r.start));
            self.tidy(index, &mut whole);
            done.push(whole);
        }
        self.report(stages.len() - 1, Step::Finishing);
        Ok(turn.restore(&done.pop().unwrap_or_default()))
    }

    fn prepare(
        &self,
        tensor: &mut Array3<f32>,
        index: usize,
        windows: &[Option<Window>],
    ) -> Result<Option<Window>, InferenceError> {
        let values = tensor.as_slice_mut().unwrap_or_default();
        let first = self.package.channels.first().map(|channel| &channel.intensity);
        let steps = first.unwrap_or(&self.package.stages[index].intensity);
        prepare(values, steps, windows).map_err(|reason| self.unsuitable(&reason))
    }

    /// Puts a further channel behind those of `tensor`, along axis 0.
    fn beside(&self, tensor: &mut Array3<f32>, mut next: Array3<f32>, channel: usize) -> Result<(), InferenceError> {
        let Channel { name, intensity } = &self.package.channels[channel];
        let of_channel = |reason: &str| self.unsuitable(&format!("channel `{name}`: {reason}"));
        let values = next.as_slice_mut().unwrap_or_default();
        prepare(values, intensity, &[]).map_err(|reason| of_channel(&reason))?;
        tensor.append(Axis(0), next.view()).map_err(|error| of_channel(&error.to_string()))
    }

    fn infer(&mut self, index: usize, tensor: &Array3<f32>) -> Result<Array3<u8>, InferenceError> {
        self.report(index, Step::Running);
        let stage = &self.package.stages[index];
        let file = self.package.file(stage);
        let network = self.networks[index].take().ok_or_else(|| self.unsuitable("a stage ran twice"))?;
        // The memory of one stage must not stand beside that of the next.
        let shrink = self.package.stages.len() > 1;
        let input = network::Input { channels: self.package.channel_count(), values: tensor.view() };
        network::label(&mut lock(&network.session), shrink, stage, &file, input, self.cancelled)
    }

    fn tidy(&self, index: usize, labels: &mut Array3<u8>) {
        self.report(index, Step::Finishing);
        for step in &self.package.stages[index].cleanup {
            tidy(labels, *step);
        }
    }

    fn report(&self, index: usize, step: Step) {
        let stages = &self.package.stages;
        (self.progress)(Progress { stage: &stages[index].name, index, count: stages.len(), step });
    }

    fn orientation(&self, axes: AxisCodes) -> Result<Orientation, InferenceError> {
        Orientation::of_tensor(&axes.0.iter().collect::<String>()).map_err(|e| self.geometry(e))
    }

    fn geometry(&self, source: VolumeError) -> InferenceError {
        InferenceError::Geometry { model: self.package.id.clone(), source }
    }

    fn unsuitable(&self, reason: &str) -> InferenceError {
        InferenceError::Unsuitable { model: self.package.id.clone(), reason: reason.to_owned() }
    }

    fn nothing(&self, around: usize) -> InferenceError {
        self.unsuitable(&format!("stage `{}` found nothing", self.package.stages[around].name))
    }
}

/// Drops what is large on a thread of its own: giving hundreds of megabytes back to the system takes a while, and the next
/// step needs none of them at once.
fn release(large: impl Send + 'static) {
    std::thread::spawn(move || drop(large));
}

fn tidy(labels: &mut Array3<u8>, step: Cleanup) {
    match step {
        Cleanup::LargestComponent { corners } => {
            let joined = if corners { Connectivity::TwentySix } else { Connectivity::Six };
            let kept = largest_component(labels, joined);
            labels.zip_mut_with(&kept, |label, keep| *label *= keep);
        }
        Cleanup::FillHoles => {
            let filled = fill_holes(labels);
            labels.zip_mut_with(&filled, |label, fill| *label = (*label).max(*fill));
        }
    }
}

/// The part of a volume of `size` (axes 2, 1, 0) around a mask that was made on the whole of it, resized. deepbet's rule
/// (`get_bbox_with_margin`): halves round to even, fractions of a voxel are cut towards zero.
fn part_of(mask: &Array3<u8>, size: [usize; 3], occupancy: f64, scale: f64) -> Option<Ranges> {
    let edges = |axis: usize| {
        let planes = mask.len_of(Axis(axis));
        let plane = (mask.len() / planes.max(1)) as f64;
        let share = |p: &usize| mask.index_axis(Axis(axis), *p).iter().filter(|v| **v != 0).count() as f64 / plane;
        let dense: Vec<usize> = (0..planes).filter(|p| share(p) > occupancy).collect();
        Some((*dense.first()? as f64, *dense.last()? as f64 + 1.0, planes as f64))
    };
    let range = |axis: usize| {
        let (start, end, planes) = edges(axis)?;
        let length = size[2 - axis] as f64;
        let centre = (length / planes * f64::midpoint(start, end)).round_ties_even();
        let span = (scale * (length / planes) * (end - start)).round_ties_even();
        let (low, high) = (centre - span / 2.0, centre + span / 2.0);
        Some(low.max(0.0) as usize..(high as usize).min(size[2 - axis]))
    };
    Some([range(2)?, range(1)?, range(0)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(size: usize, ranges: &Ranges, label: u8) -> Array3<u8> {
        let [i, j, k] = ranges;
        Array3::from_shape_fn((size, size, size), |(c, b, a)| {
            if i.contains(&a) && j.contains(&b) && k.contains(&c) { label } else { 0 }
        })
    }

    #[test]
    fn a_part_is_scaled_about_its_centre_and_clipped() {
        let mut mask = filled(10, &[3..10, 2..7, 0..4], 1);
        mask[[9, 9, 0]] = 1;
        let found = part_of(&mask, [10, 20, 40], 0.02, 1.2);
        // axis 2: centre 6.5 -> 6, length 8.4 -> 8; axis 1: centre 9, length 12; axis 0: centre 8, length 19.2 -> 19
        assert_eq!(found, Some([2..10, 3..15, 0..17]));
        assert_eq!(part_of(&Array3::zeros((4, 4, 4)), [4, 4, 4], 0.02, 1.2), None);
    }

    #[test]
    fn cleaning_keeps_label_values() {
        let mut labels = filled(5, &[1..4, 1..4, 1..4], 2);
        labels[[2, 2, 2]] = 0;
        labels[[0, 0, 4]] = 3;
        tidy(&mut labels, Cleanup::LargestComponent { corners: false });
        assert_eq!((labels[[0, 0, 4]], labels[[1, 1, 1]]), (0, 2));
        tidy(&mut labels, Cleanup::FillHoles);
        assert_eq!((labels[[2, 2, 2]], labels[[1, 1, 1]], labels[[0, 0, 0]]), (1, 2, 0));
    }
}
