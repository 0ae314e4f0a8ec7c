//! The forms in which a segmentation can be given to a destination, best first, and the choice among them: what is asked for,
//! what is made, what the peer takes (PS3.3 A.51, A.8; the SOP classes of PS3.4 annex B). Data and one pure function; who
//! writes the objects is `results`.

use serde::Serialize;

use super::{Learned, SegmentationType};

/// A form of a segmentation; the best is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// All segments in one frame a slice (Label Map Segmentation Storage).
    Labelmap,
    /// One frame a slice and segment, one bit a pixel (Segmentation Storage).
    Binary,
    /// Burnt into pictures that every viewer shows.
    SecondaryCapture,
}

/// From the form that says most in the least room to the one that every peer takes.
pub const LADDER: [Form; 3] = [Form::Labelmap, Form::Binary, Form::SecondaryCapture];

impl Form {
    /// Peers know a segmentation by its SOP class; that of probabilities is that of bits.
    #[must_use]
    pub const fn of(stored: SegmentationType) -> Form {
        match stored {
            SegmentationType::Labelmap => Form::Labelmap,
            SegmentationType::Binary | SegmentationType::Fractional => Form::Binary,
        }
    }

    #[must_use]
    pub const fn sop_class(self) -> &'static str {
        match self {
            Form::Labelmap => "1.2.840.10008.5.1.4.1.1.66.7",
            Form::Binary => "1.2.840.10008.5.1.4.1.1.66.4",
            Form::SecondaryCapture => "1.2.840.10008.5.1.4.1.1.7",
        }
    }
}

/// Why a form was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// No result of this form was made.
    NotMade,
    /// The destination's last word on the SOP class was no.
    Refused,
}

/// Which form a destination gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    pub asked: Form,
    pub chosen: Form,
    pub passed_over: Vec<(Form, Because)>,
}

/// The first form from `asked` downwards that is among `made` and not known to be refused. What a peer refused once it may
/// take now: without another way the first form made is tried all the same, and the peer's answer is the last word. `None`
/// when nothing of the ladder is made.
#[must_use]
pub fn choose(asked: Form, made: &[Form], known: &[Learned]) -> Option<Choice> {
    let below = || LADDER.into_iter().skip_while(move |form| *form != asked);
    let verdict = |form: Form| match (made.contains(&form), takes(known, form.sop_class())) {
        (false, _) => Some(Because::NotMade),
        (true, Some(false)) => Some(Because::Refused),
        (true, _) => None,
    };
    let best = below().find(|form| verdict(*form).is_none());
    let chosen = best.or_else(|| below().find(|form| made.contains(form)))?;
    let passed_over = below().take_while(|form| Some(*form) != best);
    let passed_over = passed_over.filter_map(|form| Some((form, verdict(form)?))).collect();
    Some(Choice { asked, chosen, passed_over })
}

/// Is the SOP class taken in any transfer syntax? `None`: it was never proposed.
#[must_use]
pub fn takes(known: &[Learned], sop_class: &str) -> Option<bool> {
    let mut rows = known.iter().filter(|row| row.sop_class == sop_class).peekable();
    rows.peek()?;
    Some(rows.any(|row| row.accepted))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use Form::{Binary, Labelmap, SecondaryCapture};

    fn check(made: &[Form], refused: &[Form], chosen: Form, passed_over: &[(Form, Because)]) {
        let no = |form: &Form| Learned {
            sop_class: form.sop_class().to_owned(),
            transfer_syntax: "1.2.840.10008.1.2".to_owned(),
            accepted: false,
        };
        let known: Vec<_> = refused.iter().map(no).collect();
        let choice = choose(Labelmap, made, &known).unwrap();
        assert_eq!((choice.chosen, choice.passed_over.as_slice()), (chosen, passed_over), "{made:?} {refused:?}");
    }

    #[test]
    fn the_best_form_that_is_made_and_taken_is_chosen() {
        let (not_made, refused) = (Because::NotMade, Because::Refused);
        check(&[Labelmap, Binary], &[], Labelmap, &[]);
        check(&[Labelmap, Binary], &[Labelmap], Binary, &[(Labelmap, refused)]);
        check(&[Binary], &[], Binary, &[(Labelmap, not_made)]);
        check(
            &[Binary, SecondaryCapture],
            &[Labelmap, Binary],
            SecondaryCapture,
            &[(Labelmap, not_made), (Binary, refused)],
        );
        // The only one there is: the peer may have learned it meanwhile.
        let all = [(Labelmap, not_made), (Binary, refused), (SecondaryCapture, not_made)];
        check(&[Binary], &[Binary], Binary, &all);
        assert_eq!(choose(Binary, &[Labelmap], &[]), None);
    }

    #[test]
    fn one_accepted_syntax_is_enough() {
        let row = |accepted| Learned { sop_class: "1.2".into(), transfer_syntax: "1.3".into(), accepted };
        assert_eq!(takes(&[row(false), row(true)], "1.2"), Some(true));
        assert_eq!(takes(&[row(false)], "1.2"), Some(false));
        assert_eq!(takes(&[row(false)], "1.9"), None);
    }
}
