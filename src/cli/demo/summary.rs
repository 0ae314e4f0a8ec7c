//! The demo's closing words: what came back, how large it is, where to look at it.
//!
//! Formats values that others measured; measures nothing and reads no file.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One label of the segmentation that came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub name: String,
    pub millilitres: f64,
}

/// What the demo has to show at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// What was sent, as its SeriesDescription says it.
    pub series: String,
    pub slices: usize,
    /// The SEG as the embedded destination received it.
    pub segmentation: PathBuf,
    pub parts: Vec<Part>,
    /// PNG with the mask over the anatomy.
    pub contact_sheet: PathBuf,
    /// From the last C-STORE response to the SEG at the destination.
    pub turnaround: Duration,
    /// Where the node still listens, its AE title and the folder results land in (`KEEP=1`).
    pub kept: Option<Kept>,
}

/// A node that the demo leaves running.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub address: SocketAddr,
    pub ae_title: String,
    pub results: PathBuf,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.turnaround.as_secs_f64();
        writeln!(f, "sent           {} ({} slices, over DICOM)", self.series, self.slices)?;
        writeln!(f, "received back  {} after {seconds:.1} s", self.segmentation.display())?;
        for part in &self.parts {
            writeln!(f, "{:<14} {:.0} mL", part.name.to_lowercase(), part.millilitres)?;
        }
        writeln!(f, "look at        {}", self.contact_sheet.display())?;
        writeln!(f, "Research software: not a medical device, not for diagnosis.")?;
        self.kept.as_ref().map_or(Ok(()), |kept| write!(f, "{kept}"))
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ae, host, port) = (&self.ae_title, self.address.ip(), self.address.port());
        writeln!(f)?;
        writeln!(f, "The node keeps running; Ctrl-C stops it. Send it a T1 head of your own:")?;
        writeln!(f, "  sagittal send {host}:{port} FOLDER --called {ae}")?;
        writeln!(f, "  TCP_NODELAY=1 storescu -R -aec {ae} +sd +r {host} {port} FOLDER      (DCMTK)")?;
        writeln!(f, "Results land in {}", self.results.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            series: "T1 3D head (Colin 27)".into(),
            slices: 181,
            segmentation: "demo-out/received/seg.dcm".into(),
            parts: vec![Part { name: "Brain".into(), millilitres: 1955.7 }],
            contact_sheet: "demo-out/contact.png".into(),
            turnaround: Duration::from_millis(6140),
            kept: None,
        }
    }

    #[test]
    fn names_the_segmentation_the_volume_and_the_picture() {
        let text = summary().to_string();
        for expected in ["demo-out/received/seg.dcm after 6.1 s", "brain          1956 mL", "demo-out/contact.png"] {
            assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
        }
        assert!(!text.contains("keeps running"));
    }

    #[test]
    fn a_kept_node_says_how_to_send_to_it() {
        let address = SocketAddr::from(([127, 0, 0, 1], 11112));
        let kept = Kept { address, ae_title: "SAGITTAL".into(), results: "demo-out/received".into() };
        let text = Summary { kept: Some(kept), ..summary() }.to_string();
        for expected in
            ["sagittal send 127.0.0.1:11112 FOLDER --called SAGITTAL", "-aec SAGITTAL +sd +r 127.0.0.1 11112"]
        {
            assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
        }
    }
}
