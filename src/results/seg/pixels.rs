//! The pixel data of a segmentation, made a few frames at a time and written in order.
//!
//! Memory: at most [`IN_FLIGHT`] bytes of frames besides the finding, however large the object is.

use std::io::{self, Write};

use rayon::prelude::*;

use super::frames::Frame;
use super::{bits, rle};
use crate::dicom::{SegForm, SegmentationType};
use crate::results::areas::slice_of;
use crate::results::encode;
use crate::volume::Segmentation;

/// Bytes of frames that are made at a time, over all threads.
const IN_FLIGHT: usize = 8 << 20;

/// Everything that pixel data is made from.
pub(super) struct Pixels<'a> {
    pub finding: &'a Segmentation,
    pub frames: Vec<Frame>,
    pub form: SegForm,
    /// `[label]`: the segment's number, 0 for labels that are no segment.
    pub numbers: [u8; 256],
}

impl Pixels<'_> {
    /// Voxels of a frame.
    fn area(&self) -> usize {
        let (_, rows, columns) = self.finding.labels.dim();
        rows * columns
    }

    /// Bytes of native pixel data, padded to even length.
    pub fn native_length(&self) -> u64 {
        match self.form.stored {
            SegmentationType::Binary => bits::packed_len(self.frames.len(), self.area()),
            _ => (self.frames.len() as u64 * self.area() as u64).next_multiple_of(2),
        }
    }

    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        match (self.form.rle, self.form.stored) {
            (false, SegmentationType::Binary) => self.write_bits(out),
            (false, _) => self.write_bytes(out),
            (true, _) => self.write_fragments(out),
        }
    }

    fn write_bits(&self, out: &mut dyn Write) -> io::Result<()> {
        // Eight frames always fill whole bytes, so groups of eight can be packed on their own.
        let eights = (IN_FLIGHT / rayon::current_num_threads().max(1) / self.area().max(1)).max(1);
        let groups: Vec<&[Frame]> = self.frames.chunks(eights * 8).collect();
        let mut written = 0_u64;
        let mut buffers = vec![Vec::new(); rayon::current_num_threads().max(1)];
        for batch in groups.chunks(buffers.len()) {
            batch.par_iter().zip(&mut buffers).for_each(|(frames, packed)| self.pack(frames, packed));
            for bytes in &buffers[..batch.len()] {
                written += bytes.len() as u64;
                out.write_all(bytes)?;
            }
        }
        pad(out, written)
    }

    /// Fills `packed` with the bits of `frames`.
    fn pack(&self, frames: &[Frame], packed: &mut Vec<u8>) {
        packed.clear();
        packed.resize((frames.len() * self.area()).div_ceil(8), 0);
        let columns = self.finding.labels.len_of(ndarray::Axis(2));
        for (index, frame) in frames.iter().enumerate() {
            for layer in self.finding.layers() {
                let (slice, marked) = (slice_of(layer, frame.slice), (frame.label, frame.area));
                bits::pack(&slice, columns, marked, index * self.area(), packed);
            }
        }
    }

    fn write_bytes(&self, out: &mut dyn Write) -> io::Result<()> {
        for batch in self.batches() {
            let made: Vec<Vec<u8>> = batch.par_iter().map(|frame| self.bytes_of(frame)).collect();
            made.iter().try_for_each(|bytes| out.write_all(bytes))?;
        }
        pad(out, self.frames.len() as u64 * self.area() as u64)
    }

    fn write_fragments(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.finding.labels.len_of(ndarray::Axis(2));
        for batch in self.batches() {
            let made: Vec<Vec<u8>> =
                batch.par_iter().map(|frame| rle::encode(&self.bytes_of(frame), columns)).collect();
            for bytes in made {
                out.write_all(&encode::fragment(bytes.len()))?;
                out.write_all(&bytes)?;
            }
        }
        out.write_all(&encode::end_of_items())
    }

    fn batches(&self) -> std::slice::Chunks<'_, Frame> {
        self.frames.chunks((IN_FLIGHT / self.area().max(1)).max(1))
    }

    /// One byte a voxel: segment numbers of a label map, shares of a fractional frame.
    fn bytes_of(&self, frame: &Frame) -> Vec<u8> {
        if self.form.stored == SegmentationType::Labelmap {
            return self.numbers_of(frame.slice);
        }
        let segments = &self.finding.segments;
        let shares =
            segments.iter().position(|s| s.label == frame.label).and_then(|s| self.finding.probabilities.get(s));
        if let Some(shares) = shares {
            return slice_of(shares, frame.slice).into_owned();
        }
        let mut bytes = vec![0; self.area()];
        for layer in self.finding.layers() {
            let marked = slice_of(layer, frame.slice);
            bytes.iter_mut().zip(marked.iter()).filter(|(_, l)| **l == frame.label).for_each(|(byte, _)| *byte = 255);
        }
        bytes
    }

    /// Segment numbers of a slice; where segments overlap, the first map's goes first.
    fn numbers_of(&self, slice: usize) -> Vec<u8> {
        let mut numbers = vec![0; self.area()];
        for layer in self.finding.layers() {
            let labels = slice_of(layer, slice);
            // Background is most of a volume.
            let marked = numbers.chunks_mut(16).zip(labels.chunks(16)).filter(|(_, labels)| **labels != [0; 16]);
            let free = marked.flat_map(|(numbers, labels)| numbers.iter_mut().zip(labels)).filter(|(n, _)| **n == 0);
            free.for_each(|(number, label)| *number = self.numbers[usize::from(*label)]);
        }
        numbers
    }
}

fn pad(out: &mut dyn Write, written: u64) -> io::Result<()> {
    if written % 2 == 1 { out.write_all(&[0]) } else { Ok(()) }
}
