//! `multipart/related` (RFC 2387, RFC 2046 section 5.1) as it streams in: one part in memory at a time.
//!
//! Knows nothing of DICOM. A part over the limit is counted and dropped, so that the parts after it are still read.

use std::future::Future;

use axum::body::Bytes;

/// Most bytes of the headers of a part.
const MAX_HEADERS: usize = 16 * 1024;

/// Why a body is no `multipart/related`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MultipartError {
    #[error("the Content-Type is {0:?}; send multipart/related; type=\"application/dicom\"; boundary=...")]
    ContentType(String),
    #[error("the body ends in the middle of a part; its last boundary is followed by two hyphens")]
    Truncated,
    #[error("the headers of a part are over 16 KiB or not ended by an empty line")]
    Headers,
    #[error("something else than a line end follows a boundary")]
    Boundary,
    #[error("nothing came for the time of `idle_timeout`")]
    Slow,
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the node is stopping")]
    Stopping,
}

/// Where the bytes come from.
pub(super) trait Source: Send {
    /// The next bytes, `None` at the end.
    fn chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, MultipartError>> + Send;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Lower case, without parameters; empty where the part has none.
    pub media_type: String,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Whole(Vec<u8>),
    /// More than the limit; this many bytes came and were dropped.
    TooLarge(u64),
}

/// The parts of a body, one after the other.
#[derive(Debug)]
pub(super) struct Multipart<S> {
    source: S,
    /// Line end, two hyphens, boundary.
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    limit: u64,
    started: bool,
}

impl<S: Source> Multipart<S> {
    /// Keeps parts of up to `limit` bytes.
    pub fn new(source: S, boundary: &str, limit: u64) -> Multipart<S> {
        // The first boundary may stand at the very beginning: its line end is supplied.
        let (delimiter, buffer) = (format!("\r\n--{boundary}").into_bytes(), b"\r\n".to_vec());
        Multipart { source, delimiter, buffer, limit, started: false }
    }

    /// The next part, `None` after the last.
    pub async fn part(&mut self) -> Result<Option<Part>, MultipartError> {
        if !self.started {
            self.content(0).await?;
            self.started = true;
        }
        if self.is_over().await? {
            return Ok(None);
        }
        let media_type = self.headers().await?;
        let content = self.content(self.limit).await?;
        Ok(Some(Part { media_type, content }))
    }

    /// Behind a delimiter: two hyphens end the body; else padding up to a line end, which is left in place.
    async fn is_over(&mut self) -> Result<bool, MultipartError> {
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        if self.buffer.starts_with(b"--") {
            return Ok(true);
        }
        let end = self.find(b"\r\n").await?;
        let padding = self.buffer.drain(..end);
        if padding.as_slice().iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            Ok(false)
        } else {
            Err(MultipartError::Boundary)
        }
    }

    /// The media type out of the headers, which stand between a line end and an empty line.
    async fn headers(&mut self) -> Result<String, MultipartError> {
        let end = self.find(b"\r\n\r\n").await?;
        let text = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let named = text.lines().filter_map(|line| line.split_once(':'));
        let mut found = named.filter(|(name, _)| name.trim().eq_ignore_ascii_case("content-type"));
        Ok(found.next().map(|(_, value)| media_type(value)).unwrap_or_default())
    }

    /// Everything up to the next delimiter, which is taken, too.
    async fn content(&mut self, limit: u64) -> Result<Content, MultipartError> {
        let (mut kept, mut size) = (Vec::new(), 0_u64);
        loop {
            let found = position(&self.buffer, &self.delimiter);
            // The end of the buffer may be the beginning of a delimiter.
            let sure = found.unwrap_or_else(|| self.buffer.len().saturating_sub(self.delimiter.len() - 1));
            size += sure as u64;
            if size <= limit {
                kept.extend_from_slice(&self.buffer[..sure]);
            } else {
                kept = Vec::new();
            }
            self.buffer.drain(..sure + found.map_or(0, |_| self.delimiter.len()));
            if found.is_some() {
                return Ok(if size <= limit { Content::Whole(kept) } else { Content::TooLarge(size) });
            }
            self.more().await?;
        }
    }

    /// Where `needle` is in what comes next.
    async fn find(&mut self, needle: &[u8]) -> Result<usize, MultipartError> {
        loop {
            if let Some(at) = position(&self.buffer, needle) {
                return Ok(at);
            }
            if self.buffer.len() > MAX_HEADERS {
                return Err(MultipartError::Headers);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), MultipartError> {
        let bytes = self.source.chunk().await?.ok_or(MultipartError::Truncated)?;
        self.buffer.extend_from_slice(&bytes);
        Ok(())
    }
}

/// Where `needle`, which begins with a carriage return, is in `bytes`.
fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(step) = bytes[from..].iter().position(|byte| *byte == b'\r') {
        if bytes[from + step..].starts_with(needle) {
            return Some(from + step);
        }
        from += step + 1;
    }
    None
}

/// The boundary that a Content-Type of `multipart/related` names; its `type`, where there is one, must be DICOM.
pub(super) fn boundary(content_type: &str) -> Result<String, MultipartError> {
    let fault = || MultipartError::ContentType(content_type.chars().take(200).collect());
    let value = |wanted: &str| parameters(content_type).find(|(name, _)| name == wanted).map(|(_, value)| value);
    let of_dicom = value("type").is_none_or(|kind| media_type(&kind) == "application/dicom");
    if media_type(content_type) != "multipart/related" || !of_dicom {
        return Err(fault());
    }
    value("boundary").filter(|text| (1..=70).contains(&text.len())).ok_or_else(fault)
}

fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The parameters of a header value; a semicolon between quotes separates nothing.
fn parameters(value: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let mut quoted = false;
    let pieces = value.split(move |c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    });
    pieces.skip(1).filter_map(|piece| {
        let (name, text) = piece.split_once('=')?;
        Some((name.trim().to_ascii_lowercase(), text.trim().trim_matches('"').to_owned()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A body in pieces of `size` bytes.
    struct Pieces(Vec<u8>, usize);

    impl Source for Pieces {
        async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
            let size = self.1.min(self.0.len());
            let piece: Vec<u8> = self.0.drain(..size).collect();
            Ok((!piece.is_empty()).then(|| piece.into()))
        }
    }

    fn read(body: &str, size: usize, limit: u64) -> Result<Vec<(String, Content)>, MultipartError> {
        let mut parts = Multipart::new(Pieces(body.as_bytes().to_vec(), size), "b", limit);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut found = Vec::new();
            while let Some(part) = parts.part().await? {
                found.push((part.media_type, part.content));
            }
            Ok(found)
        })
    }

    #[test]
    fn parts_come_out_however_the_body_is_cut() {
        let dicom = || "application/dicom".to_owned();
        let whole = |text: &str| Content::Whole(text.as_bytes().to_vec());
        let body = "preamble\r\n--b  \r\nContent-Type: Application/DICOM; x=1\r\nContent-ID: 1\r\n\r\n\
                    one\r\n-\r\r\n--c\r\n--b\r\n\r\n\r\n--b\r\ncontent-type:application/dicom\r\n\r\ntoo long\
                    \r\n--b--\r\nepilogue";
        let expected =
            [(dicom(), whole("one\r\n-\r\r\n--c")), (String::new(), whole("")), (dicom(), whole("too long"))];
        for size in 1..body.len() {
            assert_eq!(read(body, size, 100).unwrap(), expected, "in pieces of {size}");
        }
        assert_eq!(read(body, 3, 7).unwrap()[2].1, Content::TooLarge(8));
        assert_eq!(read("--b--", 5, 7), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_multipart_is_said() {
        let check = |body: &str, expected: MultipartError| assert_eq!(read(body, 9, 100), Err(expected), "{body}");
        check("", MultipartError::Truncated);
        check("--b\r\n\r\nabc", MultipartError::Truncated);
        check("--b\r\n\r\nabc\r\n--b", MultipartError::Truncated);
        check("--bc\r\n\r\n", MultipartError::Boundary);
        check(&format!("--b\r\nX: {}", "y".repeat(20_000)), MultipartError::Headers);
    }

    #[test]
    fn the_boundary_is_found_and_other_types_are_refused() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(boundary(text).ok().as_deref(), expected, "{text}");
        check("multipart/related; type=\"application/dicom\"; boundary=abc", Some("abc"));
        check("Multipart/Related;boundary=\"a;b\";type=application/dicom", Some("a;b"));
        check("multipart/related; boundary=abc", Some("abc"));
        check("multipart/related; type=\"application/dicom+json\"; boundary=abc", None);
        check("multipart/related; type=\"application/dicom\"", None);
        check("multipart/form-data; boundary=abc", None);
        check("application/dicom", None);
        check("", None);
    }
}
