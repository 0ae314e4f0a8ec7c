//! Display colours as DICOM wants them: CIELab (PS3.3 section C.10.7.1.1), the D65 white point of sRGB.

/// RecommendedDisplayCIELabValue of an sRGB colour: L* over 0..100 and a*, b* over -128..127, each
/// spread over 0..65535.
#[must_use]
pub fn cielab([r, g, b]: [u8; 3]) -> [u16; 3] {
    let [r, g, b] = [r, g, b].map(linear);
    let x = (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47;
    let y = 0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b;
    let z = (0.019_333_9 * r + 0.119_192 * g + 0.950_304_1 * b) / 1.088_83;
    let [fx, fy, fz] = [x, y, z].map(cube_root);
    let lab = [(116.0 * fy - 16.0) / 100.0, (500.0 * (fx - fy) + 128.0) / 255.0, (200.0 * (fy - fz) + 128.0) / 255.0];
    lab.map(|v| (v.clamp(0.0, 1.0) * 65535.0).round() as u16)
}

/// The sRGB colour of a RecommendedDisplayCIELabValue, the inverse of [`cielab`] but for rounding.
#[must_use]
pub fn srgb([l, a, b]: [u16; 3]) -> [u8; 3] {
    let share = |v: u16| f64::from(v) / 65535.0;
    let fy = (100.0 * share(l) + 16.0) / 116.0;
    let fx = fy + (255.0 * share(a) - 128.0) / 500.0;
    let fz = fy - (255.0 * share(b) - 128.0) / 200.0;
    let [x, y, z] = [fx, fy, fz].map(cube);
    let (x, z) = (x * 0.950_47, z * 1.088_83);
    let linear = [
        3.240_454_2 * x - 1.537_138_5 * y - 0.498_531_4 * z,
        -0.969_266 * x + 1.876_010_8 * y + 0.041_556 * z,
        0.055_643_4 * x - 0.204_025_9 * y + 1.057_225_2 * z,
    ];
    linear.map(|c| {
        let c = if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
        (255.0 * c.clamp(0.0, 1.0)).round() as u8
    })
}

fn cube(f: f64) -> f64 {
    if f > 6.0 / 29.0 { f.powi(3) } else { (116.0 * f - 16.0) * 27.0 / 24389.0 }
}

fn linear(channel: u8) -> f64 {
    let c = f64::from(channel) / 255.0;
    if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
}

fn cube_root(t: f64) -> f64 {
    if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_survive_the_way_there_and_back() {
        for rgb in [[220, 20, 60], [0, 120, 220], [250, 200, 0], [1, 2, 3], [255, 255, 255]] {
            assert_eq!(srgb(cielab(rgb)), rgb);
        }
    }

    #[test]
    fn colours_agree_with_the_reference_library() {
        let check = |rgb, expected: [u16; 3]| {
            let lab = cielab(rgb);
            let near = (0..3).all(|i| lab[i].abs_diff(expected[i]) <= 12);
            assert!(near, "{rgb:?} gives {lab:?}, expected {expected:?}");
        };
        check([220, 20, 60], [30821, 51126, 41530]);
        check([0, 120, 220], [32909, 35507, 17819]);
        check([250, 200, 0], [54209, 33821, 54474]);
        check([255, 255, 255], [65535, 32896, 32896]);
        check([0, 0, 0], [0, 32896, 32896]);
    }
}
