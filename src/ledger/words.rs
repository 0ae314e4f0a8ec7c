//! One table of the words under which enumerations are stored, shown and parsed, and how identifiers and
//! times lie in columns. The words are those of the serialised form, so that a user meets one spelling.

use std::fmt;
use std::str::FromStr;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use super::{ClosedBy, Delivered, Happened, JobKind, JobState, Priority, RulesSource};
use crate::clock::Millis;
use crate::dicom::ladder::Form;
use crate::dicom::{Answer, Uid};

/// A text that is none of an enumeration's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is none of {allowed}")]
pub struct UnknownWord {
    found: String,
    allowed: String,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ }) => {
        impl $type {
            pub const ALL: &'static [$type] = &[$($type::$variant),+];

            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $($type::$variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<$type, UnknownWord> {
                match text {
                    $($word => Ok($type::$variant),)+
                    _ => Err(UnknownWord { found: text.to_owned(), allowed: [$($word),+].join(", ") }),
                }
            }
        }

        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.word().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$type> {
                value.as_str()?.parse().map_err(FromSqlError::other)
            }
        }
    };
}

words!(JobKind { Infer = "infer", Deliver = "deliver" });
words!(JobState {
    Available = "available",
    Running = "running",
    Retryable = "retryable",
    Completed = "completed",
    Discarded = "discarded",
    Cancelled = "cancelled",
    Held = "held"
});
words!(ClosedBy {
    Quiet = "quiet",
    QuietAfterRelease = "quiet-after-release",
    Operator = "operator",
    ExpectedCount = "expected-count",
    StableSeries = "stable-series",
    Api = "api"
});
words!(RulesSource { Start = "start", File = "file", Signal = "signal", Rollback = "rollback", Api = "api" });
words!(Happened {
    Delivered = "delivered",
    GivenUp = "given-up",
    Held = "held",
    Acted = "acted",
    Rules = "rules",
    SeriesHeld = "series-held",
    RuleGaveUp = "rule-gave-up",
    Unreachable = "unreachable",
    Reachable = "reachable"
});
words!(Delivered { Confirmed = "confirmed", SentUnconfirmed = "sent-unconfirmed", Reported = "reported" });
words!(Form { Labelmap = "labelmap", Binary = "binary", SecondaryCapture = "secondary-capture" });
words!(Answer { Stored = "stored", Warned = "warned", Refused = "refused", Missing = "missing", Reported = "reported" });

impl Priority {
    pub const ALL: [Priority; 4] = [Priority::Stat, Priority::Urgent, Priority::Routine, Priority::OffPeak];
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Priority::Stat => "stat",
            Priority::Urgent => "urgent",
            Priority::Routine => "routine",
            Priority::OffPeak => "off-peak",
        })
    }
}

/// Stored as its rank, so that the claim's index is in claiming order.
impl ToSql for Priority {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromSql for Priority {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Priority> {
        let rank = value.as_i64()?;
        usize::try_from(rank)
            .ok()
            .and_then(|rank| Priority::ALL.get(rank).copied())
            .ok_or(FromSqlError::OutOfRange(rank))
    }
}

impl ToSql for Uid {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Uid {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Uid> {
        Uid::parse(value.as_str()?).map_err(FromSqlError::other)
    }
}

impl ToSql for Millis {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Millis> {
        value.as_i64().map(Millis)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_the_serialised_form_and_parse_back() {
        for state in JobState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
            assert_eq!(state.word().parse(), Ok(*state));
        }
        for by in ClosedBy::ALL {
            assert_eq!(serde_json::to_value(by).unwrap(), by.word());
        }
        for source in RulesSource::ALL {
            assert_eq!(serde_json::to_value(source).unwrap(), source.word());
        }
        for delivered in Delivered::ALL {
            assert_eq!(serde_json::to_value(delivered).unwrap(), delivered.word());
        }
        for form in Form::ALL {
            assert_eq!(serde_json::to_value(form).unwrap(), form.word());
        }
        for answer in Answer::ALL {
            assert_eq!(serde_json::to_value(answer).unwrap(), answer.word());
        }
        for (rank, priority) in Priority::ALL.iter().enumerate() {
            assert_eq!(serde_json::to_value(priority).unwrap(), priority.to_string());
            assert_eq!(*priority as usize, rank);
        }
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let refused = "done".parse::<JobKind>().unwrap_err();
        assert_eq!(refused.to_string(), "\"done\" is none of infer, deliver");
    }
}
