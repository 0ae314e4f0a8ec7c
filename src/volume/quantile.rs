//! Quantiles of many voxels with linear interpolation (numpy's default, Hyndman-Fan type 7).
//!
//! Exact, and without copying or sorting the voxels: order statistics are found by two histograms over
//! the bits of the values, in parallel.

use std::collections::BTreeMap;

use rayon::prelude::*;

const BUCKETS: usize = 1 << 16;
const CHUNK: usize = 1 << 18;

/// The quantiles `wanted` (each in 0..=1) of the `values` for which `keep` holds; NaN never counts.
/// `None` when no value is left.
#[must_use]
pub fn quantiles(values: &[f32], keep: impl Fn(f32) -> bool + Sync, wanted: &[f64]) -> Option<Vec<f64>> {
    let kept = |v: &f32| (!v.is_nan() && keep(*v)).then(|| ordered_bits(*v));
    let coarse = histogram(values, |v| kept(v).map(|bits| (bits >> 16) as usize));
    let count: u64 = coarse.iter().sum();
    if count == 0 {
        return None;
    }
    // Neighbouring ranks nearly always share a bucket.
    let mut fine_of = BTreeMap::new();
    let mut statistic = |rank: u64| {
        let (bucket, rest) = bucket_of(&coarse, rank);
        let in_bucket = |v: &f32| kept(v).filter(|b| (b >> 16) as usize == bucket).map(|b| (b & 0xffff) as usize);
        let fine = fine_of.entry(bucket).or_insert_with(|| histogram(values, in_bucket));
        from_ordered_bits((bucket as u32) << 16 | bucket_of(fine, rest).0 as u32)
    };
    let mut quantile = |q: &f64| {
        let place = q.clamp(0.0, 1.0) * (count - 1) as f64;
        let low = f64::from(statistic(place.floor() as u64));
        if place.fract() == 0.0 {
            return low;
        }
        low + place.fract() * (f64::from(statistic(place.floor() as u64 + 1)) - low)
    };
    Some(wanted.iter().map(&mut quantile).collect())
}

/// Bits that sort as the values do.
fn ordered_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 0 { bits | 0x8000_0000 } else { !bits }
}

fn from_ordered_bits(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & 0x7fff_ffff } else { !bits })
}

fn histogram(values: &[f32], bucket: impl Fn(&f32) -> Option<usize> + Sync) -> Vec<u64> {
    let merge = |mut a: Vec<u64>, b: Vec<u64>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    let chunk = values.len().div_ceil(rayon::current_num_threads() * 2).max(CHUNK);
    values
        .par_chunks(chunk)
        .map(|part| {
            let mut counts = vec![0_u64; BUCKETS];
            part.iter().filter_map(&bucket).for_each(|b| counts[b] += 1);
            counts
        })
        .reduce(|| vec![0; BUCKETS], merge)
}

/// The bucket holding the value of this rank, and the rank within the bucket.
fn bucket_of(counts: &[u64], rank: u64) -> (usize, u64) {
    let mut rest = rank;
    for (bucket, count) in counts.iter().enumerate() {
        if rest < *count {
            return (bucket, rest);
        }
        rest -= count;
    }
    (counts.len() - 1, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        let check = |values: &[f32], q: f64, expected: Option<f64>| {
            let found = quantiles(values, |_| true, &[q]).map(|v| v[0]);
            assert_eq!(found.map(|v| (v * 1e9).round()), expected.map(|v| (v * 1e9).round()), "{values:?} {q}");
        };
        check(&[3.0, 1.0, 2.0, 4.0], 0.5, Some(2.5));
        check(&[3.0, 1.0, 2.0, 4.0], 0.25, Some(1.75));
        check(&[-1.5, -0.0, 1e30, -7e10], 0.0, Some(f64::from(-7e10_f32)));
        check(&[5.0], 0.99, Some(5.0));
        check(&[5.0, f32::NAN, 6.0], 1.0, Some(6.0));
        check(&[], 0.5, None);
        assert_eq!(quantiles(&[0.0, -1.0, 10.0, 20.0], |v| v > 0.0, &[0.0, 0.5, 1.0]), Some(vec![10.0, 15.0, 20.0]));
        assert_eq!(quantiles(&[0.0, -1.0], |v| v > 0.0, &[0.5]), None);
    }

    #[test]
    fn chunks_add_up() {
        let count = 3 * CHUNK + 17;
        let values: Vec<f32> = (0..count).map(|v| ((v * 7919) % count) as f32 - 1000.0).collect();
        let found = quantiles(&values, |_| true, &[0.1, 0.999]);
        let expected = |q: f64| q * (count - 1) as f64 - 1000.0;
        let close = found.is_some_and(|f| (f[0] - expected(0.1)).abs() < 0.01 && (f[1] - expected(0.999)).abs() < 0.01);
        assert!(close);
    }
}
