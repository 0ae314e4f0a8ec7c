//! Run-length encoded frames (PS3.5 annex G): each row by itself, one byte segment for 8-bit pixels, three for colours.

use crate::results::areas::run_of;

/// `frame` as one fragment, of even length.
pub(super) fn encode(frame: &[u8], columns: usize) -> Vec<u8> {
    let mut out = vec![0_u8; 64];
    // One segment, which begins behind the header.
    out[0] = 1;
    out[4] = 64;
    frame.chunks(columns.max(1)).for_each(|row| encode_row(row, &mut out));
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out
}

/// `frame` of red, green and blue samples in turn as one fragment: a segment for each colour.
pub(in crate::results) fn encode_color(frame: &[u8], columns: usize) -> Vec<u8> {
    let mut out = vec![0_u8; 64];
    out[0] = 3;
    for color in 0..3 {
        let at = out.len() as u32;
        out[4 + color * 4..8 + color * 4].copy_from_slice(&at.to_le_bytes());
        let plane: Vec<u8> = frame.iter().skip(color).step_by(3).copied().collect();
        plane.chunks(columns.max(1)).for_each(|row| encode_row(row, &mut out));
        // Segments begin at even places.
        if out.len() % 2 == 1 {
            out.push(0);
        }
    }
    out
}

/// PackBits: runs of two and more are repeated, what lies between is literal.
fn encode_row(row: &[u8], out: &mut Vec<u8>) {
    let mut literal = 0;
    let mut at = 0;
    while at < row.len() {
        let run = run_of(&row[at..row.len().min(at + 128)]);
        // A run of two inside literals costs as much as it saves.
        if run < 3 {
            at += run;
            continue;
        }
        put_literal(&row[literal..at], out);
        out.extend([(257 - run) as u8, row[at]]);
        at += run;
        literal = at;
    }
    put_literal(&row[literal..], out);
}

fn put_literal(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(128) {
        out.push((chunk.len() - 1) as u8);
        out.extend(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes as the annex says, one segment.
    fn decode(fragment: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = &fragment[64..];
        while let [head, tail @ ..] = rest {
            match *head as i8 {
                -128 => rest = tail,
                n if n >= 0 && tail.len() > n as usize => {
                    out.extend(&tail[..=n as usize]);
                    rest = &tail[n as usize + 1..];
                }
                n if n < 0 => {
                    out.extend(std::iter::repeat_n(tail[0], (1 - isize::from(n)) as usize));
                    rest = &tail[1..];
                }
                _ => rest = &[],
            }
        }
        out
    }

    #[test]
    fn every_row_comes_back_by_itself() {
        let mut dice = fastrand::Rng::with_seed(5);
        for columns in [1, 2, 3, 5, 127, 128, 129, 300, 513] {
            for kinds in [1, 2, 200] {
                let mut byte = 0;
                let mut next = || {
                    byte = if dice.u8(..8) < 3 { dice.u8(..kinds) } else { byte };
                    byte
                };
                let frame: Vec<u8> = (0..columns * 4).map(|_| next()).collect();
                let mut decoded = decode(&encode(&frame, columns));
                // A padding byte reads as the start of a literal that is not there.
                decoded.truncate(frame.len());
                assert_eq!(decoded, frame, "{columns} columns, {kinds} kinds");
            }
        }
    }

    #[test]
    fn known_bytes() {
        let fragment = encode(&[7, 7, 7, 7, 1, 2, 2, 9], 8);
        assert_eq!(fragment[..8], [1, 0, 0, 0, 64, 0, 0, 0]);
        assert_eq!(fragment[64..], [0xfd, 7, 3, 1, 2, 2, 9, 0]);
        let long = encode(&[3; 300], 300);
        assert_eq!(long[64..], [0x81, 3, 0x81, 3, 0xd5, 3]);
    }
}
